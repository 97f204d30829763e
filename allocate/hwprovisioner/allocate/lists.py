"""Answering questions about the lab from the view: lists, records, explanations, changes."""

from collections.abc import Iterable, Iterator, Mapping

from hwprovisioner.allocate.codec import Codec, hold, timestamp
from hwprovisioner.allocate.demand import HostDemand, Spec
from hwprovisioner.allocate.host_demands import read_host_demand
from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.matching import mismatch, name_mismatch
from hwprovisioner.allocate.pages import page
from hwprovisioner.allocate.planning.inventory import Standing
from hwprovisioner.allocate.set_demands import read_set
from hwprovisioner.allocate.specs import to_json
from hwprovisioner.allocate.telling.places import Places
from hwprovisioner.allocate.telling.verdicts import Judge, Verdict, When
from hwprovisioner.serving import bad_request
from hwprovisioner.state.errors import NoSuchResource
from hwprovisioner.state.keys import Kind
from hwprovisioner.state.model import Allocation, Hold, Manager, Resource
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.tables import AllocationState, Presence
from hwprovisioner.state.view import Change, View
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import allocation_pb2, resource_pb2

MAX_EXPLAINED = 1_000
"""Of so many resources at most it is explained why they can serve a host or not."""
MAX_EXPLAINED_IN_ALL = 8_000
"""Likewise of all hosts of a set together: larger messages are not taken by clients."""


class Lists:
    """Answers from the view; only leases are read from Redis."""

    def __init__(self, view: View, lab: Lab, places: Places, codec: Codec, reader: Reader) -> None:
        """Answer about the lab of `view`."""
        self._places = places
        self._view = view
        self._lab = lab
        self._codec = codec
        self._reader = reader
        self._told: tuple[Change, pb.WatchLabResponse] | None = None

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
        self._places.prepare(len(records))
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
        demands = read_set(request.demands)
        asked = self._lab.planner.classes.get(to_json(request.demands), demands)
        outlook, now_ms = self._places.outlook, self._lab.clock.now_ms()
        judge = Judge(self._lab.planner.finder, outlook.stock(), asked, now_ms)
        when, summary = judge.whole(outlook.lack_of(asked))
        response = pb.ExplainResponse(availability=_AVAILABILITIES[when], summary=summary)
        most = min(MAX_EXPLAINED, MAX_EXPLAINED_IN_ALL // len(asked.hosts))
        told: dict[HostDemand, list[pb.ResourceExplanation]] = {}
        for host, demand in demands.hosts.items():
            if demand not in told:
                verdicts = judge.hosts(demand, asked.hosts[host], most)
                told[demand] = [_explanation(each) for each in verdicts]
            response.hosts[host].resources.extend(told[demand])
        return response

    def change(self, change: Change) -> pb.WatchLabResponse:
        """Return a change as message, not to be changed: all who watch are told the same."""
        if self._told is None or self._told[0] is not change:
            self._told = change, self._change(change)
        return self._told[1]

    def _change(self, change: Change) -> pb.WatchLabResponse:
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
        fits = _Fits(demand or HostDemand(), is_free=request.free)
        for resource in self._view.resources.values():
            if request.manager in ("", resource.manager) and fits(
                resource.name, self._lab.planner.inventory.standing(resource.name)
            ):
                yield resource


class _Fits:
    """Says which resources satisfy a demand; each spec is looked at once."""

    def __init__(self, demand: HostDemand, *, is_free: bool) -> None:
        self._demand = demand
        self._is_free = is_free
        self._matching: dict[Spec, list[HostDemand]] = {}

    def __call__(self, name: str, standing: Standing) -> bool:
        room = standing.room
        if room.spec not in self._matching:
            options = [o for o in self._demand.options if not mismatch(o, room.spec)]
            self._matching[room.spec] = options
        fitting = (o for o in self._matching[room.spec] if not name_mismatch(o, room.spec, name))
        if not self._is_free:
            return any(True for _ in fitting)
        return not standing.closed and any(not room.shortage(option) for option in fitting)


def _explanation(verdict: Verdict) -> pb.ResourceExplanation:
    return pb.ResourceExplanation(
        resource=verdict.resource,
        availability=_AVAILABILITIES[verdict.when],
        reason=verdict.reason,
    )


def _removal(kind: Kind, record_id: str) -> pb.Removal:
    match kind:
        case Kind.ALLOCATION:
            return pb.Removal(allocation_id=record_id)
        case Kind.RESOURCE:
            return pb.Removal(resource=record_id)
        case _:
            return pb.Removal(hold_id=record_id)


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
_AVAILABILITIES: Mapping[When, pb.Availability.ValueType] = {
    when: pb.Availability.Value(f"AVAILABILITY_{when}") for when in When
}
