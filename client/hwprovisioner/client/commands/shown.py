"""Resources, allocations and managers as rows of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hwprovisioner.client.durations import show as show_span
from hwprovisioner.client.moments import from_timestamp, local_now
from hwprovisioner.client.moments import show as show_moment
from hwprovisioner.client.updates import booked_line, place_line
from hwprovisioner.client.words import word, words
from hwprovisioner.v1.allocation_pb2 import Allocation, AllocationState, EndReason, QueuePlace
from hwprovisioner.v1.resource_pb2 import (
    AdminState,
    Booked,
    Health,
    HoldState,
    Manager,
    Presence,
    Resource,
    ResourceKind,
)

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from hwprovisioner.client.words import AnyEnum

RESOURCE_HEADS = ("NAME", "KIND", "CPUS", "MEMORY", "GPUS", "OS", "STATE", "LABELS")
RESOURCE_WIDE = (
    *(*RESOURCE_HEADS, "MANAGER", "DRIVER", "ALLOCATIONS", "BOOKED", "FENCE"),
    *("KERNEL", "REASON", "OPERATOR", "WARNINGS"),
)
ALLOCATION_HEADS = ("ID", "STATE", "USER", "HOSTS", "AGE", "LEASE", "DETAIL")
ALLOCATION_WIDE = (*ALLOCATION_HEADS, "PRIORITY", "FROM", "COMMAND", "JOB")
BOOKING_HEADS = ("ID", "STATE", "USER", "HOSTS", "FROM", "UNTIL")
BOOKING_WIDE = (*BOOKING_HEADS, "COMMAND", "JOB")
MANAGER_HEADS = ("ID", "STATE", "RESOURCES", "VERSION", "REGISTERED")
MANAGER_WIDE = (*MANAGER_HEADS, "EPOCH")

#: The states of what goes on or is yet to come.
NOT_ENDED = [each for each in words(AllocationState) if each != "ended"]


def resource_row(resource: Resource, *, wide: bool) -> Sequence[str]:
    """Gives the cells of a resource."""
    spec = resource.spec
    cells = (
        spec.name,
        word(ResourceKind, spec.kind),
        str(spec.cpus or ""),
        amount(spec.memory_bytes),
        _gpus(resource),
        f"{spec.os.distro or spec.os.family} {spec.os.version}".strip(),
        resource_state(resource),
        _labels(resource),
    )
    if not wide:
        return cells
    holders = ",".join(dict.fromkeys(hold.allocation_id for hold in resource.holds))
    booked = ",".join(_booked(each) for each in resource.booked)
    operated = f"{resource.operator} {_moment(resource.operated_time)}".strip()
    more = (resource.manager, spec.driver, holders, booked, str(resource.fence))
    return (*cells, *more, spec.os.kernel, resource.reason, operated, "; ".join(resource.warnings))


def _booked(booked: Booked) -> str:
    span = f"{_moment(booked.start_time)} to {_moment(booked.end_time)}"
    return f"{span} by {booked.user or booked.allocation_id}"


def resource_state(resource: Resource) -> str:
    """Says in a few words whether a resource can be had, the worst first."""
    deadline, warnings = _moment(resource.deadline_time), len(resource.warnings)
    said = (
        _unless(Presence, resource.presence, Presence.PRESENCE_ONLINE),
        _unless(Health, resource.health, Health.HEALTH_HEALTHY),
        _unless(AdminState, resource.admin_state, AdminState.ADMIN_STATE_ENABLED)
        + (f" until {deadline}" if deadline else ""),
        _holds(resource),
        "declined" if _is_ahead(resource.declined_until_time) else "",
    )
    warned = f",{warnings} warning{'s' if warnings > 1 else ''}" if warnings else ""
    return (",".join(filter(None, said)) or "free") + warned


def _unless(enum: AnyEnum, value: int, best: int) -> str:
    return "" if value == best else word(enum, value)


def allocation_row(allocation: Allocation, *, wide: bool) -> Sequence[str]:
    """Gives the cells of an allocation."""
    lease = allocation.remaining_lease
    cells = (
        allocation.id,
        word(AllocationState, allocation.state),
        allocation.requestor.user,
        hosts_of(allocation),
        age(allocation.submit_time),
        show_span(lease.ToTimedelta().total_seconds())
        if allocation.HasField("remaining_lease")
        else "",
        _detail(allocation),
    )
    if not wide:
        return cells
    asks = allocation.requestor
    return (*cells, str(allocation.priority), asks.host, asks.command, asks.job_link)


def hosts_of(allocation: Allocation) -> str:
    """Gives the hosts of an allocation, each with its resource once it has one."""
    granted = allocation.hosts
    if granted:
        return ",".join(f"{name}={granted[name].hold.resource}" for name in sorted(granted))
    demands = allocation.demands.hosts
    return ",".join(
        f"{demands[name].count}x{name}" if demands[name].count > 1 else name
        for name in sorted(demands)
    )


def booking_row(allocation: Allocation, *, wide: bool) -> Sequence[str]:
    """Gives the cells of a booking."""
    cells = (
        allocation.id,
        word(AllocationState, allocation.state),
        allocation.requestor.user,
        hosts_of(allocation),
        _moment(allocation.book_start_time),
        _moment(allocation.book_end_time),
    )
    return (*cells, allocation.requestor.command, allocation.requestor.job_link) if wide else cells


def manager_row(manager: Manager, *, wide: bool) -> Sequence[str]:
    """Gives the cells of a manager."""
    cells = (
        manager.id,
        word(Presence, manager.presence),
        str(manager.resource_count),
        manager.version,
        age(manager.register_time),
    )
    return (*cells, str(manager.epoch)) if wide else cells


def amount(amount_bytes: int) -> str:
    """Gives an amount of memory as people write it, such as `16GiB`."""
    if not amount_bytes:
        return ""
    for unit, size in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if amount_bytes >= size:
            return f"{amount_bytes / size:.1f}".removesuffix(".0") + unit
    return f"{amount_bytes}B"


def age(time: Timestamp) -> str:
    """Gives how long ago something was, by this machine's clock; empty if it was not."""
    if not time.seconds:
        return ""
    seconds = max(_since(time), 0)
    if seconds < 120:
        return f"{seconds:.0f}s"
    if seconds < 7200:
        return f"{seconds / 60:.0f}m"
    return f"{seconds / 3600:.0f}h" if seconds < 172_800 else f"{seconds / 86_400:.0f}d"


def _since(time: Timestamp) -> float:
    return (datetime.now(UTC) - time.ToDatetime(UTC)).total_seconds()


def _is_ahead(time: Timestamp) -> bool:
    return bool(time.seconds) and _since(time) < 0


def _labels(resource: Resource) -> str:
    labels = sorted(resource.spec.labels.items())
    return ",".join(f"{name}={value}" if value else name for name, value in labels)


def _gpus(resource: Resource) -> str:
    counts = Counter(gpu.model or gpu.brand or "gpu" for gpu in resource.spec.gpus)
    return ",".join(name if count == 1 else f"{count}x{name}" for name, count in counts.items())


def _holds(resource: Resource) -> str:
    holds, places = resource.holds, resource.spec.division.instances
    if not holds:
        return ""
    cleaning = sum(hold.state == HoldState.HOLD_STATE_CLEANING for hold in holds)
    if places:
        return f"{len(holds)}/{places} in use"
    return "cleaning" if cleaning == len(holds) else "in use"


def _moment(time: Timestamp) -> str:
    found = from_timestamp(time)
    return show_moment(found, local_now()) if found else ""


def _detail(allocation: Allocation) -> str:
    match allocation.state:
        case AllocationState.ALLOCATION_STATE_BOOKED:
            return f"{booked_line(from_timestamp(allocation.book_start_time))}{_until(allocation)}"
        case AllocationState.ALLOCATION_STATE_QUEUED:
            return queue_line(allocation.queue_place)
        case AllocationState.ALLOCATION_STATE_ENDED:
            return f"{word(EndReason, allocation.end_reason)}: {allocation.end_detail}".rstrip(": ")
        case AllocationState.ALLOCATION_STATE_PREPARING:
            lines = (allocation.hosts[name].hold.progress for name in sorted(allocation.hosts))
            return "; ".join(filter(None, (*lines, _ending(allocation))))
    return _ending(allocation) or kept(allocation) or _until(allocation).strip()


def queue_line(place: QueuePlace) -> str:
    """Says where a request stands and what it waits for."""
    expected, likely = from_timestamp(place.expected_time), from_timestamp(place.likely_time)
    return f"{place_line(place.place, expected, likely)}: {place.reason}".removesuffix(": ")


def _until(allocation: Allocation) -> str:
    end = _moment(allocation.book_end_time)
    return f" until {end}" if end else ""


def kept(allocation: Allocation) -> str:
    """Says until when what is ready is kept; empty if it is not."""
    is_ready = allocation.state == AllocationState.ALLOCATION_STATE_READY
    until = _moment(allocation.keep_time) if is_ready and _is_ahead(allocation.keep_time) else ""
    return f"is kept until {until}" if until else ""


def _ending(allocation: Allocation) -> str:
    gives_way, revoked = _moment(allocation.preempt_time), _moment(allocation.revoke_time)
    said = (
        f"gives way at {gives_way}" if gives_way else "",
        f"is revoked at {revoked}" if revoked else "",
    )
    return ", ".join(filter(None, said))
