"""Reading the demand for one host: field by field, together, and with its alternatives."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from hwprovisioner.allocate.demand import (
    ANY,
    ANY_VERSION,
    GpuDemand,
    HostDemand,
    OsDemand,
    Provisioning,
)
from hwprovisioner.allocate.notation import parse_memory, parse_number, parse_version
from hwprovisioner.allocate.specs import MAX_CARDS, MAX_LABELS, MAX_PARAMETERS, check_kind
from hwprovisioner.allocate.violations import LABEL, MAX_TEXT, MAX_WORD, Violations, shown
from hwprovisioner.allocate.where import MAX_WHERE, WhereError, compile_where
from hwprovisioner.v1 import demand_pb2

MAX_ALTERNATIVES = 8
MAX_KINDS = 64
"""More than there are, since each may be there twice."""
MAX_NOT_RESOURCES = 64
_MAX_SAID = 400
_SAID_ONCE = ("kinds", "cpus", "memory", "os", "resource", "provisioning")
_ADDED_UP = ("labels", "gpus", "not_resources", "where")


def read_host_demand(field: str, demand: demand_pb2.HostDemand) -> HostDemand:
    """Read a demand that resources are looked at with one by one, or refuse it."""
    violations = Violations()
    if demand.count:
        violations.add(f"{field}.count", "each resource is looked at by itself: leave it out")
    result = host_demand(field, demand, violations)
    violations.check()
    return result


def host_demand(field: str, demand: demand_pb2.HostDemand, violations: Violations) -> HostDemand:
    """Read the demand for one host but for its count, and note what is wrong with it.

    A demand with one alternative only is the same as a demand without, and equal to it.
    """
    base = _plain(field, demand, violations)
    faults = _note_contradictions(field, base, (), violations)
    if not violations.few(f"{field}.any_of", demand.any_of, MAX_ALTERNATIVES, "alternatives"):
        return base
    alternatives = tuple(
        _alternative(field, index, demand, faults, violations)
        for index in range(len(demand.any_of))
    )
    match alternatives:
        case ():
            return base
        case (only,):
            return only
    return HostDemand(alternatives=alternatives)


def option_message(demand: demand_pb2.HostDemand, option: int) -> demand_pb2.HostDemand:
    """Return what an option of a demand asks for: all of it, as a demand without alternatives.

    Args:
        demand: the demand, which was checked.
        option: its place in `HostDemand.options`.
    """
    whole = demand_pb2.HostDemand()
    whole.CopyFrom(demand)
    if demand.any_of:
        alternative = demand.any_of[option]
        whole.MergeFrom(alternative)
        if demand.where and alternative.where:
            # Each on lines of its own: a comment ends with its line.
            whole.where = f"({demand.where}\n) && ({alternative.where}\n)"
    whole.ClearField("count")
    whole.ClearField("any_of")
    return whole


def _alternative(
    field: str,
    index: int,
    demand: demand_pb2.HostDemand,
    known_faults: Collection[str],
    violations: Violations,
) -> HostDemand:
    """Read an alternative together with what the demand itself says."""
    path, alternative = f"{field}.any_of[{index}]", demand.any_of[index]
    for name in ("count", "any_of"):
        if getattr(alternative, name):
            violations.add(f"{path}.{name}", f"an alternative has no {name}: say it for the host")
    for name in _SAID_ONCE:
        if _says(demand, name) and _says(alternative, name):
            violations.add(
                f"{path}.{name}", "the demand itself says it already: say it in one of the two"
            )
    _plain(path, alternative, violations)
    together = Violations()
    whole = _plain(path, option_message(demand, index), together)
    for name in _ADDED_UP:
        # What is wrong with a part is told where it was said, by its place there.
        if (fault := together.of(f"{path}.{name}")) and not violations.of(f"{field}.{name}"):
            violations.add(f"{path}.{name}", f"with what the demand itself says: {fault}")
    _note_contradictions(path, whole, known_faults, violations)
    return whole


def _note_contradictions(
    field: str, demand: HostDemand, known_faults: Collection[str], violations: Violations
) -> Collection[str]:
    """Note what nothing could satisfy, and return it; what is known is not noted again."""
    found = list(_contradictions(demand))
    for name, fault in found:
        if fault not in known_faults:
            violations.add(f"{field}.{name}", fault)
    return [fault for _, fault in found]


def _says(demand: demand_pb2.HostDemand, name: str) -> bool:
    return any(descriptor.name == name for descriptor, _ in demand.ListFields())


def _plain(field: str, demand: demand_pb2.HostDemand, violations: Violations) -> HostDemand:
    """Read all fields but those that are about copies and alternatives."""
    return HostDemand(
        kinds=frozenset(_kinds(f"{field}.kinds", demand.kinds, violations)),
        cpus=violations.parsed(f"{field}.cpus", demand.cpus, parse_number, ANY),
        memory=violations.parsed(f"{field}.memory", demand.memory, parse_memory, ANY),
        gpus=_gpus(f"{field}.gpus", demand.gpus, violations),
        os=_os(f"{field}.os", demand.os, violations),
        labels=_labels(f"{field}.labels", demand.labels, violations),
        resource=demand.resource and violations.name(f"{field}.resource", demand.resource),
        not_resources=frozenset(_names(f"{field}.not_resources", demand.not_resources, violations)),
        where=_where(f"{field}.where", demand.where, violations),
        provisioning=_provisioning(f"{field}.provisioning", demand.provisioning, violations)
        if demand.HasField("provisioning")
        else None,
    )


def _contradictions(demand: HostDemand) -> Iterator[tuple[str, str]]:
    """Yield the fields that nothing could satisfy, each with the reason."""
    if demand.resource in demand.not_resources:
        yield "resource", f"{demand.resource} is among not_resources, too: take it out of one"
    values = dict[str, str]()
    for name, value in demand.labels:
        if value is None:
            continue
        if values.setdefault(name, value) != value:
            yield (
                "labels",
                f"asks for {name} to be {shown(values[name])} and {shown(value)}: a resource has"
                " one value of a label; ask for one, or say both in any_of",
            )
            return


def _kinds(field: str, kinds: Sequence[int], violations: Violations) -> Iterator[str]:
    if violations.few(field, kinds, MAX_KINDS, "kinds"):
        for index, kind in enumerate(kinds):
            yield check_kind(f"{field}[{index}]", kind, violations)


def _names(field: str, names: Sequence[str], violations: Violations) -> Iterator[str]:
    if violations.few(field, names, MAX_NOT_RESOURCES, "resources"):
        for index, name in enumerate(names):
            yield violations.name(f"{field}[{index}]", name)


def _gpus(
    field: str, gpus: Iterable[demand_pb2.GpuDemand], violations: Violations
) -> tuple[GpuDemand, ...]:
    cards: list[GpuDemand] = []
    for index, gpu in enumerate(gpus):
        path = f"{field}[{index}]"
        card = GpuDemand(
            violations.word(f"{path}.brand", gpu.brand),
            violations.word(f"{path}.model", gpu.model),
            violations.parsed(f"{path}.memory", gpu.memory, parse_memory, ANY),
        )
        count = violations.number(f"{path}.count", gpu.count, 0, MAX_CARDS)
        cards += [card] * min(max(count, 1), MAX_CARDS)
        if len(cards) > MAX_CARDS:
            violations.add(field, f"asks for more than {MAX_CARDS} cards")
            break
    # The same cards in another order are the same demand.
    return tuple(sorted(cards, key=str))


def _os(field: str, os: demand_pb2.OsDemand, violations: Violations) -> OsDemand:
    return OsDemand(
        violations.word(f"{field}.family", os.family),
        violations.word(f"{field}.distro", os.distro),
        violations.parsed(f"{field}.version", os.version, parse_version, ANY_VERSION),
    )


def _labels(
    field: str, labels: Sequence[str], violations: Violations
) -> tuple[tuple[str, str | None], ...]:
    if not violations.few(field, labels, MAX_LABELS, "labels"):
        return ()
    found = set[tuple[str, str | None]]()
    for index, label in enumerate(labels):
        name, equals, value = label.partition("=")
        violations.name(f"{field}[{index}]", name, LABEL)
        if equals:
            violations.text(f"{field}[{index}]", value, MAX_WORD)
        found.add((name, value if equals else None))
    return tuple(sorted(found, key=lambda pair: (pair[0], pair[1] is not None, pair[1] or "")))


def _where(field: str, text: str, violations: Violations) -> str:
    if text and violations.text(field, text, MAX_WHERE) == text:
        try:
            compile_where(text)
        except WhereError as error:
            violations.add(field, str(error)[:_MAX_SAID])
    return text


def _provisioning(
    field: str, provisioning: demand_pb2.Provisioning, violations: Violations
) -> Provisioning:
    path = f"{field}.parameters"
    if violations.few(path, provisioning.parameters, MAX_PARAMETERS, "parameters"):
        for name, value in provisioning.parameters.items():
            violations.name(f"{path}[{shown(name)}]", name, LABEL)
            violations.text(f"{path}[{shown(name)}]", value, MAX_TEXT)
    return Provisioning(
        violations.text(f"{field}.image", provisioning.image, MAX_WORD),
        violations.parsed(f"{field}.disk", provisioning.disk, parse_memory, ANY),
        frozenset(provisioning.parameters),
    )
