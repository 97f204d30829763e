"""Reading requests for hardware: what is in order becomes demands, the rest is refused by field."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from hwprovisioner.allocate.demand import (
    ANY,
    ANY_VERSION,
    GpuDemand,
    HostDemand,
    OsDemand,
)
from hwprovisioner.allocate.notation import parse_memory, parse_number, parse_version
from hwprovisioner.allocate.violations import MAX_WORD, Violations, shown
from hwprovisioner.v1 import allocate_service_pb2, allocation_pb2, demand_pb2, resource_pb2

MAX_HOSTS = 64
MAX_CARDS = 64
MAX_LABELS = 64
MAX_KINDS = 64
"""More than there are, since each may be there twice."""
MAX_PRIORITY = 100
MIN_REQUEST_ID = 16
MAX_REQUEST_ID = 128
DEFAULT_TTL_MS = 30_000
_SECOND_MS = 1000
_DAY_MS = 86_400_000

KIND_NAMES: Mapping[int, str] = {
    number: name.removeprefix("RESOURCE_KIND_").lower().replace("_", "-")
    for name, number in resource_pb2.ResourceKind.items()
    if number
}
"""The kinds of resource by their numbers in the contract: ``virtual-machine`` and so on."""

_HOST = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,62}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for hardware that is in order."""

    demands: Mapping[str, HostDemand]
    request_id: str
    priority: int
    ttl_ms: int
    wait_ms: int
    max_ms: int


def read_request(request: allocate_service_pb2.AllocateRequest) -> Asked:
    """Read a request for hardware, or refuse it."""
    violations = Violations()
    if request.request_id:
        length = len(violations.text("request_id", request.request_id, MAX_REQUEST_ID))
        if length < MIN_REQUEST_ID:
            violations.add(
                "request_id",
                f"has {length} characters: make it at least {MIN_REQUEST_ID} that nobody can"
                " guess, such as a UUID4",
            )
    _check_requestor(request.requestor, violations)
    asked = Asked(
        _hosts("demands", request.demands, violations),
        request.request_id,
        violations.number("priority", request.priority, -MAX_PRIORITY, MAX_PRIORITY),
        DEFAULT_TTL_MS
        if not request.HasField("lease_ttl")
        else violations.duration_ms("lease_ttl", request.lease_ttl, _SECOND_MS, _DAY_MS),
        _optional_ms(request, "wait_timeout", violations),
        _optional_ms(request, "max_duration", violations),
    )
    violations.check()
    return asked


def read_demands(demands: demand_pb2.Demands) -> dict[str, HostDemand]:
    """Read a set of demands, or refuse it."""
    violations = Violations()
    hosts = _hosts("demands", demands, violations)
    violations.check()
    return hosts


def read_host_demand(field: str, demand: demand_pb2.HostDemand) -> HostDemand:
    """Read the demand for one host, or refuse it."""
    violations = Violations()
    result = _host(field, demand, violations)
    violations.check()
    return result


def _optional_ms(
    request: allocate_service_pb2.AllocateRequest, field: str, violations: Violations
) -> int:
    """Return how long something may take, 0 if that was not said."""
    if not request.HasField(field):  # type: ignore[arg-type]
        return 0
    return violations.duration_ms(field, getattr(request, field), 1, 30 * _DAY_MS)


def _check_requestor(requestor: allocation_pb2.Requestor, violations: Violations) -> None:
    for descriptor, value in requestor.ListFields():
        violations.text(f"requestor.{descriptor.name}", value)


def _hosts(
    field: str, demands: demand_pb2.Demands, violations: Violations
) -> dict[str, HostDemand]:
    if not 1 <= len(demands.hosts) <= MAX_HOSTS:
        violations.add(
            f"{field}.hosts", f"has {len(demands.hosts)} hosts, must have from 1 to {MAX_HOSTS}"
        )
        return {}
    hosts = {}
    for name in sorted(demands.hosts):
        path = f"{field}.hosts[{shown(name)}]"
        violations.name(path, name, _HOST)
        hosts[name] = _host(path, demands.hosts[name], violations)
    return hosts


def _host(field: str, demand: demand_pb2.HostDemand, violations: Violations) -> HostDemand:
    return HostDemand(
        kinds=frozenset(_kinds(f"{field}.kinds", demand.kinds, violations)),
        cpus=violations.parsed(f"{field}.cpus", demand.cpus, parse_number, ANY),
        memory=violations.parsed(f"{field}.memory", demand.memory, parse_memory, ANY),
        gpus=_gpus(f"{field}.gpus", demand.gpus, violations),
        os=_os(f"{field}.os", demand.os, violations),
        labels=_labels(f"{field}.labels", demand.labels, violations),
        resource=demand.resource and violations.name(f"{field}.resource", demand.resource),
    )


def _kinds(field: str, kinds: Collection[int], violations: Violations) -> Iterable[str]:
    if len(kinds) > MAX_KINDS:
        violations.add(field, f"has {len(kinds):,} kinds, at most {MAX_KINDS} are allowed")
        return
    for index, kind in enumerate(kinds):
        if kind in KIND_NAMES:
            yield KIND_NAMES[kind]
        else:
            known = ", ".join(f"{number} ({name})" for number, name in KIND_NAMES.items())
            violations.add(f"{field}[{index}]", f"is {kind}, must be one of {known}")


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
    return tuple(cards)


def _os(field: str, os: demand_pb2.OsDemand, violations: Violations) -> OsDemand:
    return OsDemand(
        violations.word(f"{field}.family", os.family),
        violations.word(f"{field}.distro", os.distro),
        violations.parsed(f"{field}.version", os.version, parse_version, ANY_VERSION),
    )


def _labels(
    field: str, labels: Collection[str], violations: Violations
) -> tuple[tuple[str, str | None], ...]:
    if len(labels) > MAX_LABELS:
        violations.add(field, f"has {len(labels):,} labels, at most {MAX_LABELS} are allowed")
        return ()
    found = set[tuple[str, str | None]]()
    for index, label in enumerate(labels):
        name, equals, value = label.partition("=")
        violations.name(f"{field}[{index}]", name, LABEL)
        if equals:
            violations.text(f"{field}[{index}]", value, MAX_WORD)
        found.add((name, value if equals else None))
    return tuple(sorted(found, key=lambda pair: (pair[0], pair[1] or "")))
