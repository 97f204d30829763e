"""Whether a resource is what a host demand asks for, and if not, the first reason why.

Pure, and about what a resource is, not about what is free of it: see `room.py`.
"""

from collections.abc import Callable, Collection, Iterator, Sequence

from hwprovisioner.allocate.demand import ANY, Gpu, GpuDemand, HostDemand, Spec
from hwprovisioner.allocate.notation import Bounds, amount


def mismatch(demand: HostDemand, spec: Spec) -> str:
    """Return the first reason why a resource can never serve a demand, empty if it can."""
    return next((reason for check in _CHECKS if (reason := check(demand, spec))), "")


def assign_cards(
    demands: Sequence[GpuDemand], cards: Sequence[Gpu], free: Collection[int]
) -> tuple[int, ...] | None:
    """Give each demand a card of its own out of those that are free.

    A maximum bipartite matching by augmenting paths (Kuhn): a card that satisfies several demands
    never stands in the way of one that only it satisfies.

    Returns:
        The places of the cards, sorted; None if the demands cannot all be satisfied.
    """
    usable = {
        demand: [card for card in sorted(free) if card_satisfies(demand, cards[card])]
        for demand in set(demands)
    }
    holder: dict[int, int] = {}

    def place(demand: int, seen: set[int]) -> bool:
        fitting = usable[demands[demand]]
        for card in fitting:
            if card not in holder:
                holder[card] = demand
                return True
        for card in fitting:
            if card not in seen:
                seen.add(card)
                if place(holder[card], seen):
                    holder[card] = demand
                    return True
        return False

    if all(place(demand, set()) for demand in range(len(demands))):
        return tuple(sorted(holder))
    return None


def card_satisfies(demand: GpuDemand, card: Gpu) -> bool:
    """Say whether a card is of the sort that is asked for."""
    return (
        demand.brand in ("", card.brand)
        and demand.model in ("", card.model)
        and demand.memory.admit(card.memory)
    )


def _resource(demand: HostDemand, spec: Spec) -> str:
    if demand.resource in ("", spec.name):
        return ""
    return f"resource: is {spec.name}, wants {demand.resource}"


def _kind(demand: HostDemand, spec: Spec) -> str:
    if not demand.kinds or spec.kind in demand.kinds:
        return ""
    return f"kind: is {spec.kind}, wants {' or '.join(sorted(demand.kinds))}"


def _cpus(demand: HostDemand, spec: Spec) -> str:
    if _fits(demand.cpus, spec.cpus, divisible=spec.division is not None):
        return ""
    return f"cpus: has {spec.cpus or 'an unknown number'}, wants {demand.cpus}"


def _memory(demand: HostDemand, spec: Spec) -> str:
    if _fits(demand.memory, spec.memory, divisible=spec.division is not None):
        return ""
    has = amount(spec.memory) if spec.memory else "an unknown amount"
    return f"memory: has {has}, wants {demand.memory.said(amount)}"


def _fits(wanted: Bounds, number: int, *, divisible: bool) -> bool:
    if wanted == ANY:
        return True
    # A divisible resource gives as much as is asked for: it must only not have too little.
    if divisible:
        return wanted.low is None or number >= wanted.low
    return number > 0 and wanted.admit(number)


def _gpus(demand: HostDemand, spec: Spec) -> str:
    if not demand.gpus:
        return ""
    if assign_cards(demand.gpus, spec.gpus, range(len(spec.gpus))) is not None:
        return ""
    for gpu in demand.gpus:
        if not any(card_satisfies(gpu, card) for card in spec.gpus):
            return f"gpus: has no {' '.join(_card_words(gpu))}"
    return f"gpus: has {len(spec.gpus)} cards, too few that fit for the {len(demand.gpus)} wanted"


def _card_words(gpu: GpuDemand) -> Iterator[str]:
    yield from (word for word in (gpu.brand, gpu.model) if word)
    yield "card"
    if gpu.memory.low is not None or gpu.memory.high is not None:
        yield f"with {gpu.memory.said(amount)}"


def _os(demand: HostDemand, spec: Spec) -> str:
    wanted = demand.os
    if wanted.family not in ("", spec.family):
        return f"os.family: is {spec.family or 'not known'}, wants {wanted.family}"
    if wanted.distro not in ("", spec.distro):
        return f"os.distro: is {spec.distro or 'not known'}, wants {wanted.distro}"
    if not wanted.version.admit(spec.version):
        return f"os.version: is {spec.version or 'not known'}, wants {wanted.version}"
    return ""


def _labels(demand: HostDemand, spec: Spec) -> str:
    names = {name for name, _ in spec.labels}
    for name, value in demand.labels:
        if value is None and name not in names:
            return f"labels: lacks {name}"
        if value is not None and (name, value) not in spec.labels:
            return f"labels: lacks {name}={value}"
    return ""


_CHECKS: tuple[Callable[[HostDemand, Spec], str], ...] = (
    _resource,
    _kind,
    _labels,
    _os,
    _cpus,
    _memory,
    _gpus,
)
