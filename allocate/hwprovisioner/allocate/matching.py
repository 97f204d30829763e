"""Whether a resource is what a host demand asks for, and if not, the first reason why.

Pure, and about what a resource is, not about what is free of it: see `room.py`. What depends on
the resource's name is asked separately, so that equal machines are looked at once.
"""

from collections.abc import Callable, Iterator

from hwprovisioner.allocate.cards import assign_cards, card_satisfies
from hwprovisioner.allocate.demand import (
    ANY,
    GpuDemand,
    HostDemand,
    OsDemand,
    Provisioning,
    Spec,
    System,
)
from hwprovisioner.allocate.notation import Bounds, amount
from hwprovisioner.allocate.where import WhereError, compile_where

_MAX_REASON = 400
_MAX_NAMES = 5


def mismatch(option: HostDemand, spec: Spec) -> str:
    """Return the first reason why a resource like this can never serve, empty if it can.

    Args:
        option: a demand without alternatives.
        spec: what the resource is; its name is not looked at, see `name_mismatch`.
    """
    # No generator: a new class or a new shape asks this of all others.
    for check in _CHECKS:
        if reason := check(option, spec):
            return reason
    return ""


def is_by_name(option: HostDemand) -> bool:
    """Say whether it matters to a demand without alternatives what a resource is called."""
    return bool(option.resource or option.not_resources or _uses_name(option))


def name_mismatch(option: HostDemand, spec: Spec, name: str) -> str:
    """Return the first reason why a resource of that name cannot serve, empty if there is none.

    Args:
        option: a demand without alternatives.
        spec: what the resource is.
        name: what it is called.
    """
    if option.resource not in ("", name):
        return f"resource: is {name}, wants {option.resource}"
    if name in option.not_resources:
        return f"not_resources: {name} is one of them"
    return _where(option.where, spec, name) if _uses_name(option) else ""


def why_not(demand: HostDemand, spec: Spec, name: str) -> str:
    """Return why a resource can never serve a demand, empty if it can.

    Of several alternatives each has its reason, equal ones being told once.
    """
    reasons = dict[str, None]()
    for option in demand.options:
        reason = _first_reason(option, spec, name)
        if not reason:
            return ""
        reasons[reason] = None
    said = "; or ".join(reasons)
    return said if len(said) <= _MAX_REASON else said[: _MAX_REASON - 1] + "…"


def _first_reason(option: HostDemand, spec: Spec, name: str) -> str:
    # That another one is wanted says more than what this one lacks; an expression says less.
    plain = HostDemand(resource=option.resource, not_resources=option.not_resources)
    return (
        name_mismatch(plain, spec, name)
        or mismatch(option, spec)
        or name_mismatch(option, spec, name)
    )


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
    # A divisible resource gives as much as is asked for: it must only not have too little.
    if divisible:
        return wanted.low is None or number >= wanted.low
    return wanted.admit(number) and (number > 0 or wanted == ANY)


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
    reason = _system(demand.os, spec.system)
    if not reason or spec.makes is None or not spec.makes.systems:
        return reason
    if not all(_system(demand.os, system) for system in spec.makes.systems):
        return ""
    return f"{reason}, nor can it be made so"


def _system(wanted: OsDemand, system: System) -> str:
    if wanted.family not in ("", system.family):
        return f"os.family: is {system.family or 'not known'}, wants {wanted.family}"
    if wanted.distro not in ("", system.distro):
        return f"os.distro: is {system.distro or 'not known'}, wants {wanted.distro}"
    if not wanted.version.admit(system.version):
        return f"os.version: is {system.version or 'not known'}, wants {wanted.version}"
    return ""


def _labels(demand: HostDemand, spec: Spec) -> str:
    for name, value in demand.labels:
        if value is None and not _has_label(spec, name):
            return f"labels: lacks {name}"
        if value is not None and (name, value) not in spec.labels:
            return f"labels: lacks {name}={value}"
    return ""


def _has_label(spec: Spec, name: str) -> bool:
    for its, _ in spec.labels:
        if its == name:
            return True
    return False


def _provisioning(demand: HostDemand, spec: Spec) -> str:
    wanted, makes = demand.provisioning, spec.makes
    if wanted is None:
        return ""
    if makes is None:
        return "provisioning: is as it is, cannot be made"
    if wanted.image and wanted.image not in makes.images:
        return f"provisioning: cannot make image {wanted.image}"
    unknown = sorted(wanted.parameters - makes.parameters)
    if unknown:
        more = f" and {len(unknown) - _MAX_NAMES} more" if len(unknown) > _MAX_NAMES else ""
        return f"provisioning: does not know parameter {', '.join(unknown[:_MAX_NAMES])}{more}"
    return _disk(wanted, makes.disk)


def _disk(wanted: Provisioning, largest: int) -> str:
    if wanted.disk == ANY:
        return ""
    if not largest:
        return "provisioning: a disk cannot be asked for"
    if _fits(wanted.disk, largest, divisible=True):
        return ""
    wants = wanted.disk.said(amount)
    return f"provisioning: makes disks of up to {amount(largest)}, wants {wants}"


def _nameless_where(demand: HostDemand, spec: Spec) -> str:
    return "" if _uses_name(demand) else _where(demand.where, spec, "")


def _uses_name(option: HostDemand) -> bool:
    try:
        return bool(option.where) and compile_where(option.where).uses_name
    except WhereError:
        return False


def _where(text: str, spec: Spec, name: str) -> str:
    if not text:
        return ""
    try:
        where = compile_where(text)
    except WhereError as error:
        # It was stored by a version of this program that could read it.
        return f"where: {error}"[:_MAX_REASON]
    if where.admits(spec, name):
        return ""
    return f"where: {where.error(spec, name) or 'is not true of it'}"[:_MAX_REASON]


_CHECKS: tuple[Callable[[HostDemand, Spec], str], ...] = (
    _kind,
    _labels,
    _os,
    _cpus,
    _memory,
    _gpus,
    _provisioning,
    _nameless_where,
)
