"""Where what a machine is contradicts what resources.yml says of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hwprovisioner.resourcemanager.model import Facts, Gpu, OperatingSystem, Resource

#: Firmware and kernel keep some memory for themselves, so it may differ by this part.
_MEMORY_TOLERANCE = 1 / 8


def contradictions(resource: Resource, found: Facts) -> list[str]:
    """Return a line for each fact that was declared otherwise, naming both.

    What is not declared, or was not found out, contradicts nothing. The limits of a divisible
    resource are what its shares may have together: only more than there is contradicts.
    """
    exact = resource.division is None
    return [
        f"resources.yml says {'' if exact else 'limits.'}{key}: {says}{_line(resource, key)}, "
        f"the machine has {has}"
        for key, says, has in _differences(resource.declared, found, exact=exact)
    ]


def _line(resource: Resource, key: str) -> str:
    return f" (line {resource.lines[key]})" if key in resource.lines else ""


def _differences(says: Facts, has: Facts, *, exact: bool) -> Iterator[tuple[str, object, object]]:
    if _is_off(says.cpus, has.cpus, 0, exact=exact):
        yield "cpu", says.cpus, has.cpus
    if _is_off(says.memory_bytes, has.memory_bytes, _MEMORY_TOLERANCE, exact=exact):
        yield "mem", _size(says.memory_bytes), _size(has.memory_bytes)
    if says.gpus is not None and has.gpus is not None and not _alike(says.gpus, has.gpus):
        yield "gpus", _cards(says.gpus), _cards(has.gpus)
    if exact and says.os is not None and has.os is not None and _is_other(says.os, has.os):
        yield "os", _system(says.os), _system(has.os)
    if exact and says.os is not None and has.os is not None and _has_other_kernel(says.os, has.os):
        yield "os.kernel", says.os.kernel, has.os.kernel


def _is_off(says: int | None, has: int | None, tolerance: float, *, exact: bool) -> bool:
    """Say whether an amount is less than declared, or if it is to be exact, more."""
    if not says or not has:
        return False
    excess = says - has
    return (abs(excess) if exact else excess) > says * tolerance


def _alike(says: Sequence[Gpu], has: Sequence[Gpu]) -> bool:
    """Say whether each card that is declared is there, and no other."""
    left = list(has)
    # The more is said of a card, the fewer can be meant.
    for card in sorted(says, key=lambda card: (card.model == "", card.brand == "")):
        match = next((other for other in left if _may_be(card, other)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def _may_be(says: Gpu, has: Gpu) -> bool:
    return all(
        not word or not other or word.lower() == other.lower()
        for word, other in ((says.brand, has.brand), (says.model, has.model))
    )


def _is_other(says: OperatingSystem, has: OperatingSystem) -> bool:
    words = ((says.family, has.family), (says.distro, has.distro))
    if any(word and other and word.lower() != other.lower() for word, other in words):
        return True
    # 18.04 is what 18.04.6 is, too.
    return bool(
        says.version and has.version and not f"{has.version}.".startswith(f"{says.version}.")
    )


def _has_other_kernel(says: OperatingSystem, has: OperatingSystem) -> bool:
    """Say whether the kernel is another one; 5.15 is what 5.15.0-91-generic is, too."""
    if not says.kernel or not has.kernel:
        return False
    rest = has.kernel.removeprefix(says.kernel)
    return not has.kernel.startswith(says.kernel) or rest[:1].isdigit()


def _size(size_bytes: int | None) -> str:
    return f"{(size_bytes or 0) / 1024**3:.1f}GiB"


def _cards(cards: Sequence[Gpu]) -> str:
    names = [" ".join(word for word in (card.brand, card.model) if word) or "?" for card in cards]
    return f"[{', '.join(names)}]"


def _system(system: OperatingSystem) -> str:
    words = (system.family, system.distro, system.version)
    return " ".join(word for word in words if word) or "?"
