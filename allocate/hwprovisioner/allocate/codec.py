"""From records of the lab to messages of the protocol."""

import functools
import json
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from hwprovisioner.allocate.matching import why_not
from hwprovisioner.allocate.reservations import reserved_hosts
from hwprovisioner.allocate.room import Room, Share
from hwprovisioner.allocate.set_demands import demands_message, host_message, stored_set
from hwprovisioner.allocate.specs import spec_message, stored_spec
from hwprovisioner.allocate.standings import closure
from hwprovisioner.allocate.stored_texts import connection_message, requestor_message
from hwprovisioner.state.model import Allocation, Hold, Manager, Resource
from hwprovisioner.state.tables import AllocationState, HoldState, Presence
from hwprovisioner.state.view import View
from hwprovisioner.v1 import allocation_pb2, manager_stream_pb2, resource_pb2


def duration(ms: int) -> Duration:
    """Return a span of ms."""
    return Duration(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


def timestamp(ms: int) -> Timestamp | None:
    """Return an instant of ms since the epoch, None for 0."""
    return Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000) if ms else None


def hold(record: Hold) -> resource_pb2.Hold:
    """Return a hold."""
    return resource_pb2.Hold(
        id=record.id,
        resource=record.resource,
        allocation_id=record.allocation,
        host=record.host,
        state=_HOLD_STATES[record.state],
        fence=record.fence,
        share=share(record),
        progress=record.progress,
    )


def look_after(record: Resource) -> manager_stream_pb2.LookAfter:
    """Return that a resource is to be looked after."""
    return manager_stream_pb2.LookAfter(
        resource=record.name, reason=record.health_reason, look=record.looks
    )


def share(record: Hold) -> resource_pb2.Share:
    """Return what a hold has of its resource."""
    return resource_pb2.Share(cpus=record.cpus, memory_bytes=record.memory, gpus=list(record.gpus))


def hold_ref(record: Hold) -> manager_stream_pb2.HoldRef:
    """Return what messages about a hold carry."""
    return manager_stream_pb2.HoldRef(hold_id=record.id, fence=record.fence)


class Codec:
    """Makes messages that need more than one record."""

    def __init__(self, view: View) -> None:
        """Look up further records in `view`."""
        self._view = view

    def allocation(
        self,
        record: Allocation,
        *,
        remaining_ms: int | None = None,
        connections: Mapping[str, str] | None = None,
    ) -> allocation_pb2.Allocation:
        """Return an allocation.

        Args:
            record: the allocation.
            remaining_ms: what its lease has left, if that is known.
            connections: JSON by hold id, for whoever has the token.
        """
        # To say that a field is not set takes as long as to set it.
        given: dict[str, Any] = {
            name: timestamp(ms) for name, ms in zip(_TIMES, _times_of(record), strict=True) if ms
        }
        message = allocation_pb2.Allocation(
            id=record.id,
            state=_ALLOCATION_STATES[record.state],
            demands=demands_message(record.demands),
            requestor=requestor_message(record.requestor),
            priority=record.priority,
            lease_ttl=duration(record.ttl_ms),
            end_detail=record.end_detail,
            revision=record.rev,
            tolerate_maintenance=record.tolerates,
            **given,
        )
        if record.wait_ms:
            message.wait_timeout.CopyFrom(duration(record.wait_ms))
        if record.max_ms:
            message.max_duration.CopyFrom(duration(record.max_ms))
        if record.end_reason:
            message.end_reason = allocation_pb2.EndReason.Value(f"END_REASON_{record.end_reason}")
        if remaining_ms is not None and record.state is not AllocationState.ENDED:
            message.remaining_lease.CopyFrom(duration(remaining_ms))
        for held in self._held(record.holds):
            self._add_host(message, held, (connections or {}).get(held.id))
        return message

    def resource(self, record: Resource) -> resource_pb2.Resource:
        """Return a resource."""
        manager = self._view.managers.get(record.manager)
        reason, _ = closure(record, manager)
        return resource_pb2.Resource(
            spec=spec_message(record.spec, record.name),
            manager=record.manager,
            presence=_resource_presence(record, manager),
            health=resource_pb2.Health.Value(f"HEALTH_{record.health}"),
            admin_state=resource_pb2.AdminState.Value(f"ADMIN_STATE_{record.admin}"),
            reason=reason,
            holds=[hold(held) for held in self._held(record.holds)],
            fence=record.fence,
            declined_until_time=timestamp(record.rest_until),
            revision=record.rev,
            booked=self._booked(record),
            warnings=json.loads(record.warnings or "[]"),
            operator=record.operator,
            operated_time=timestamp(record.operated_ms),
            deadline_time=timestamp(record.deadline_ms),
        )

    def manager(self, record: Manager) -> resource_pb2.Manager:
        """Return a manager."""
        count = sum(r.manager == record.id for r in self._view.resources.values())
        return resource_pb2.Manager(
            id=record.id,
            presence=_PRESENCES[record.presence],
            epoch=record.epoch,
            version=record.version,
            resource_count=count,
            register_time=timestamp(record.register_ms),
            revision=record.rev,
        )

    def offer(self, record: Hold) -> manager_stream_pb2.Offer:
        """Return the offer of a hold."""
        allocation = self._view.allocations[record.allocation]
        return manager_stream_pb2.Offer(
            hold=hold_ref(record),
            resource=record.resource,
            share=share(record),
            allocation_id=record.allocation,
            host=record.host,
            demand=host_message(allocation.demands, record.host, self._option(record, allocation)),
            user=allocation.user,
            ssh_public_key=allocation.ssh_public_key,
        )

    def release(self, record: Hold) -> manager_stream_pb2.Release:
        """Return the release of a hold."""
        allocation = self._view.allocations.get(record.allocation)
        reason = "it is over"
        if allocation and allocation.end_reason:
            reason = f"{allocation.end_reason}: {allocation.end_detail}"
        manager = self._view.managers.get(record.manager)
        begun = record.begun or (manager is not None and manager.may_lack(record))
        return manager_stream_pb2.Release(
            hold=hold_ref(record), resource=record.resource, reason=reason, begun=begun
        )

    def _option(self, record: Hold, allocation: Allocation) -> int:
        """Return which option of its host's demand a hold was granted for."""
        options = stored_set(allocation.demands).hosts[record.host].options
        resource = self._view.resources.get(record.resource)
        if len(options) == 1 or resource is None:
            return 0
        spec = stored_spec(resource.spec)
        share = Share(record.cpus, record.memory, record.gpus)
        # The first one that fits was granted: an earlier one with this very share would have been.
        room = Room(spec, 1, share.cpus, share.memory, frozenset(share.gpus))
        fitting = (
            index
            for index, option in enumerate(options)
            if not why_not(option, spec, resource.name) and room.share_for(option) == share
        )
        return next(fitting, 0)

    def _booked(self, record: Resource) -> list[resource_pb2.Booked]:
        known = [b for i in record.booked if (b := self._view.allocations.get(i)) is not None]
        return [
            resource_pb2.Booked(
                allocation_id=booking.id,
                user=booking.user,
                start_time=timestamp(booking.book_from_ms),
                end_time=timestamp(booking.book_until_ms),
            )
            for booking in sorted(known, key=lambda each: (each.book_from_ms, each.id))
            if booking.state in _RESERVING and record.name in _reserved(booking.reservation)
        ]

    def _held(self, hold_ids: Iterable[str]) -> list[Hold]:
        return [held for i in hold_ids if (held := self._view.holds.get(i)) is not None]

    def _add_host(
        self, message: allocation_pb2.Allocation, held: Hold, connection: str | None
    ) -> None:
        host = message.hosts[held.host]
        host.hold.CopyFrom(hold(held))
        resource = self._view.resources.get(held.resource)
        if resource:
            host.spec.CopyFrom(spec_message(resource.spec, resource.name))
        if connection:
            host.connection.CopyFrom(connection_message(connection))


@functools.lru_cache(maxsize=10_000)
def _reserved(reservation: str) -> frozenset[str]:
    """Return the resources of a stored reservation."""
    return frozenset(placed.resource for placed in reserved_hosts(reservation).values())


def _resource_presence(record: Resource, manager: Manager | None) -> Any:  # noqa: ANN401  # enum
    if manager is None:
        return resource_pb2.PRESENCE_LOST
    is_volunteered = record.volunteered and record.epoch == manager.epoch
    if manager.presence is Presence.ONLINE and not is_volunteered:
        return resource_pb2.PRESENCE_WITHDRAWN
    return _PRESENCES[manager.presence]


_RESERVING = (AllocationState.BOOKED, AllocationState.QUEUED)
_TIMES_BY_FIELD: Mapping[str, str] = {
    "submit_time": "submit_ms",
    "grant_time": "grant_ms",
    "ready_time": "ready_ms",
    "end_time": "end_ms",
    "book_start_time": "book_from_ms",
    "book_end_time": "book_until_ms",
    "preempt_time": "preempt_ms",
    "keep_time": "keep_ms",
    "revoke_time": "revoke_ms",
}
"""Of an allocation's message, and of its record."""
_TIMES = tuple(_TIMES_BY_FIELD)
_times_of: Callable[[Allocation], tuple[int, ...]] = attrgetter(*_TIMES_BY_FIELD.values())
_ALLOCATION_STATES = {
    state: allocation_pb2.AllocationState.Value(f"ALLOCATION_STATE_{state}")
    for state in AllocationState
}
_HOLD_STATES: Mapping[HoldState, resource_pb2.HoldState.ValueType] = {
    state: resource_pb2.HoldState.Value(f"HOLD_STATE_{state}")
    for state in HoldState
    if state is not HoldState.GONE
}
_PRESENCES = {
    presence: resource_pb2.Presence.Value(f"PRESENCE_{presence}") for presence in Presence
}
