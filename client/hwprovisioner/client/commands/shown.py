"""Resources, allocations and managers as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from hwprovisioner.client.durations import show as show_span
from hwprovisioner.client.words import word
from hwprovisioner.v1.allocation_pb2 import Allocation, AllocationState, EndReason
from hwprovisioner.v1.resource_pb2 import (
    AdminState,
    Health,
    HoldState,
    Manager,
    Presence,
    Resource,
    ResourceKind,
)

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

RESOURCE_HEADS = ("NAME", "KIND", "CPUS", "MEMORY", "GPUS", "OS", "STATE", "LABELS")
RESOURCE_WIDE = (*RESOURCE_HEADS, "MANAGER", "DRIVER", "ALLOCATIONS", "FENCE", "REASON")
ALLOCATION_HEADS = ("ID", "STATE", "USER", "HOSTS", "AGE", "LEASE", "DETAIL")
ALLOCATION_WIDE = (*ALLOCATION_HEADS, "PRIORITY", "FROM", "COMMAND", "JOB")
MANAGER_HEADS = ("ID", "STATE", "RESOURCES", "VERSION", "REGISTERED")
MANAGER_WIDE = (*MANAGER_HEADS, "EPOCH")


def resource_row(resource: Resource, *, wide: bool) -> Sequence[str]:
    """Gives the cells of a resource."""
    spec = resource.spec
    cells = (
        spec.name,
        word(ResourceKind, spec.kind),
        str(spec.cpus or ""),
        amount(spec.memory_bytes),
        _gpus(resource),
        " ".join(part for part in (spec.os.distro or spec.os.family, spec.os.version) if part),
        resource_state(resource),
        ",".join(
            f"{name}={value}" if value else name for name, value in sorted(spec.labels.items())
        ),
    )
    if not wide:
        return cells
    holders = dict.fromkeys(hold.allocation_id for hold in resource.holds)
    more = (resource.manager, spec.driver, ",".join(holders), str(resource.fence), resource.reason)
    return (*cells, *more)


def resource_state(resource: Resource) -> str:
    """Says in a few words whether a resource can be had, the worst first."""
    words = [
        word(Presence, resource.presence) if resource.presence != Presence.PRESENCE_ONLINE else "",
        word(Health, resource.health) if resource.health != Health.HEALTH_HEALTHY else "",
        word(AdminState, resource.admin_state)
        if resource.admin_state != AdminState.ADMIN_STATE_ENABLED
        else "",
        _holds(resource),
    ]
    said = [each for each in words if each]
    if resource.HasField("declined_until_time") and _since(resource.declined_until_time) < 0:
        said.append("declined")
    return ",".join(said) or "free"


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
    return ",".join(
        f"{name}={granted[name].hold.resource}" if name in granted else name
        for name in sorted({*allocation.demands.hosts, *granted})
    )


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


def _gpus(resource: Resource) -> str:
    counts: dict[str, int] = {}
    for gpu in resource.spec.gpus:
        name = gpu.model or gpu.brand or "gpu"
        counts[name] = counts.get(name, 0) + 1
    return ",".join(name if count == 1 else f"{count}x{name}" for name, count in counts.items())


def _holds(resource: Resource) -> str:
    holds, places = resource.holds, resource.spec.division.instances
    if not holds:
        return ""
    cleaning = sum(hold.state == HoldState.HOLD_STATE_CLEANING for hold in holds)
    if places:
        return f"{len(holds)}/{places} in use"
    return "cleaning" if cleaning == len(holds) else "in use"


def _detail(allocation: Allocation) -> str:
    match allocation.state:
        case AllocationState.ALLOCATION_STATE_QUEUED:
            place = allocation.queue_place
            return f"place {place.place}: {place.reason}" if place.place else place.reason
        case AllocationState.ALLOCATION_STATE_ENDED:
            reason = word(EndReason, allocation.end_reason)
            return f"{reason}: {allocation.end_detail}" if allocation.end_detail else reason
        case AllocationState.ALLOCATION_STATE_PREPARING:
            progress = (host.hold.progress for _, host in sorted(allocation.hosts.items()))
            return "; ".join(each for each in progress if each)
    return ""
