"""Answering questions about the lab from the view: lists, records, explanations, changes."""

from collections.abc import Iterable, Iterator, Mapping

from hwprovisioner.allocate.codec import Codec, hold, timestamp
from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.explain import explain_host, why_never
from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.matching import mismatch
from hwprovisioner.allocate.pages import page
from hwprovisioner.allocate.placement import place
from hwprovisioner.allocate.requests import read_demands, read_host_demand
from hwprovisioner.allocate.updates import Places
from hwprovisioner.serving import bad_request
from hwprovisioner.state.errors import NoSuchResource
from hwprovisioner.state.keys import Kind
from hwprovisioner.state.model import Allocation, Hold, Manager, Resource
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.tables import AllocationState, Presence
from hwprovisioner.state.view import Change, View
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import allocation_pb2, resource_pb2


class Lists:
    """Answers from the view; only leases are read from Redis."""

    def __init__(self, view: View, lab: Lab, places: Places, codec: Codec, reader: Reader) -> None:
        """Answer about the lab of `view`."""
        self._places = places
        self._view = view
        self._lab = lab
        self._codec = codec
        self._reader = reader

    async def allocations(self, request: pb.ListAllocationsRequest) -> pb.ListAllocationsResponse:
        """List allocations."""
        wanted = _words("states", request.states, _STATES)
        records, next_token = page(
            (
                allocation
                for allocation in self._view.allocations.values()
                if (not wanted or allocation.state in wanted)
                and request.user in ("", allocation.user)
            ),
            lambda allocation: allocation.id,
            request.page_size,
            request.page_token,
        )
        revision = self._view.revision  # that of the records: it may rise while Redis is asked
        remaining = await self._reader.remaining_ms([record.id for record in records])
        return pb.ListAllocationsResponse(
            allocations=[self._listed(record, remaining.get(record.id)) for record in records],
            next_page_token=next_token,
            revision=revision,
        )

    def resources(self, request: pb.ListResourcesRequest) -> pb.ListResourcesResponse:
        """List resources."""
        records, next_token = page(
            self._matching(request),
            lambda resource: resource.name,
            request.page_size,
            request.page_token,
        )
        return pb.ListResourcesResponse(
            resources=[self._codec.resource(record) for record in records],
            next_page_token=next_token,
            revision=self._view.revision,
        )

    def resource(self, name: str) -> resource_pb2.Resource:
        """Show one resource.

        Raises:
            NoSuchResource: there is none of that name.
        """
        record = self._view.resources.get(name)
        if record is None:
            raise NoSuchResource(name)
        return self._codec.resource(record)

    def managers(self, request: pb.ListManagersRequest) -> pb.ListManagersResponse:
        """List managers."""
        wanted = _words("presences", request.presences, _PRESENCES)
        records, next_token = page(
            (m for m in self._view.managers.values() if not wanted or m.presence in wanted),
            lambda manager: manager.id,
            request.page_size,
            request.page_token,
        )
        return pb.ListManagersResponse(
            managers=[self._codec.manager(record) for record in records],
            next_page_token=next_token,
            revision=self._view.revision,
        )

    def explain(self, request: pb.ExplainRequest) -> pb.ExplainResponse:
        """Explain demands."""
        hosts = read_demands(request.demands)
        rooms = self._lab.rooms
        open_to = {
            host: [name for name in self._lab.candidates(demand) if not rooms[name].closed]
            for host, demand in hosts.items()
        }
        now = len(place(hosts, open_to, rooms).placed) == len(hosts)
        ever = self._lab.feasible(hosts)
        response = pb.ExplainResponse(satisfiable_now=now, satisfiable_ever=ever)
        response.summary = _summary(now=now, ever=ever, never=why_never(hosts, rooms.values()))
        for host, demand in hosts.items():
            response.hosts[host].resources.extend(
                pb.ResourceExplanation(
                    resource=verdict.resource,
                    now=verdict.now,
                    ever=verdict.ever,
                    reason=verdict.reason,
                )
                for verdict in explain_host(demand, rooms.values())
            )
        return response

    def change(self, change: Change) -> pb.WatchLabResponse:
        """Return a change as message."""
        message = pb.WatchLabResponse(
            revision=change.revision, time=timestamp(change.time_ms), event=change.event
        )
        for (kind, record_id), changed in change.records.items():
            match changed.after:
                case Allocation() as allocation:
                    message.allocations.append(self._codec.allocation(allocation))
                case Resource() as resource:
                    message.resources.append(self._codec.resource(resource))
                case Manager() as manager:
                    message.managers.append(self._codec.manager(manager))
                case Hold() as held:
                    message.holds.append(hold(held))
                case None:
                    message.removals.append(_removal(kind, record_id))
        return message

    def _listed(self, record: Allocation, remaining_ms: int | None) -> allocation_pb2.Allocation:
        message = self._codec.allocation(record, remaining_ms=remaining_ms)
        if record.state is AllocationState.QUEUED:
            message.queue_place.CopyFrom(self._places.place(record))
        return message

    def _matching(self, request: pb.ListResourcesRequest) -> Iterator[Resource]:
        demand = read_host_demand("demand", request.demand) if request.HasField("demand") else None
        for resource in self._view.resources.values():
            room = self._lab.rooms[resource.name]
            if request.manager not in ("", resource.manager):
                continue
            if demand is not None and mismatch(demand, room.spec):
                continue
            if request.free and (room.closed or room.shortage(demand or HostDemand())):
                continue
            yield resource


def _removal(kind: Kind, record_id: str) -> pb.Removal:
    match kind:
        case Kind.ALLOCATION:
            return pb.Removal(allocation_id=record_id)
        case Kind.RESOURCE:
            return pb.Removal(resource=record_id)
        case _:
            return pb.Removal(hold_id=record_id)


def _summary(*, now: bool, ever: bool, never: dict[str, str]) -> str:
    if now:
        return "can be had now"
    if ever:
        return "cannot be had now, but could be"
    if never:
        return "can never be had: " + "; ".join(f"{host}: {why}" for host, why in never.items())
    return "can never be had: each host could, but not all of them at once"


def _words(field: str, values: Iterable[int], names: Mapping[int, str]) -> set[str]:
    """Return enum values as the words of the state tables."""
    for index, value in enumerate(values):
        if value not in names:
            known = ", ".join(f"{number} ({name})" for number, name in names.items())
            raise bad_request([(f"{field}[{index}]", f"is {value}, must be one of {known}")])
    return {names[value] for value in values}


_STATES: Mapping[int, str] = {
    allocation_pb2.AllocationState.Value(f"ALLOCATION_STATE_{s}"): str(s) for s in AllocationState
}
_PRESENCES: Mapping[int, str] = {
    resource_pb2.Presence.Value(f"PRESENCE_{p}"): str(p) for p in Presence
}
