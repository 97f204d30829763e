"""The lab as planning sees it: rooms, matching classes and the queue, kept up to date."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence

from hwprovisioner.allocate.demand import HostDemand, Spec
from hwprovisioner.allocate.matching import mismatch
from hwprovisioner.allocate.placement import place
from hwprovisioner.allocate.plan import Request
from hwprovisioner.allocate.room import Room
from hwprovisioner.allocate.specs import stored_demands, stored_spec
from hwprovisioner.state.keys import Kind
from hwprovisioner.state.model import Allocation, Manager, Resource
from hwprovisioner.state.tables import Admin, AllocationState, Health, Presence
from hwprovisioner.state.view import Change, View

_Rank = tuple[int, int, str]
_Candidate = tuple[tuple[int, int, int, int], str]

_MAX_CLASSES = 10_000
"""So many demands have their candidates remembered; asking for more only costs time."""


class Lab:
    """Follows a view."""

    def __init__(self, view: View) -> None:
        """Begin to follow `view`."""
        self._view = view
        self.rooms: dict[str, Room] = {}
        self._queue: list[_Rank] = []
        self._ranks: dict[str, _Rank] = {}
        self._classes: dict[HostDemand, list[_Candidate]] = {}
        self.version = 0
        """One more with each change that may matter to planning."""
        self.doubtful: set[str] = set()
        """The queued requests that may be impossible: new or back in the queue, or all of them when
        a resource went or changed. Whoever has looked at one takes it out."""
        view.listen(self.follow)
        self.follow(None)

    def follow(self, change: Change | None) -> None:
        """Take a change in, or everything anew."""
        if change is None:
            self._reload()
            return
        for (kind, record_id), changed in change.records.items():
            match kind:
                case Kind.RESOURCE:
                    self._take_in_resource(record_id)
                case Kind.MANAGER:
                    self._take_in_manager(record_id)
                case Kind.ALLOCATION:
                    self._take_in_allocation(record_id, changed.after)
                case Kind.HOLD:
                    pass

    def candidates(self, demand: HostDemand) -> Sequence[str]:
        """Return the resources that match a demand, free or not, the plainest first."""
        return [name for _, name in self._candidates(demand)]

    def queue(self) -> Iterator[Request]:
        """Return the queued requests in order."""
        for _, _, allocation_id in self._queue:
            yield self.request(self._view.allocations[allocation_id])

    def request(self, allocation: Allocation) -> Request:
        """Return an allocation as planning sees it."""
        hosts = stored_demands(allocation.demands)
        return Request(allocation.id, hosts, frozenset(allocation.excluded))

    def place_in_queue(self, allocation_id: str) -> int:
        """Return how many queued requests are before one, plus one; 0 if it is not queued."""
        rank = self._ranks.get(allocation_id)
        return 0 if rank is None else bisect_left(self._queue, rank) + 1

    def queued(self) -> Sequence[str]:
        """Return the ids of the queued requests in order."""
        return [allocation_id for _, _, allocation_id in self._queue]

    @property
    def queue_length(self) -> int:
        """How many requests are queued."""
        return len(self._queue)

    def feasible(
        self, hosts: Mapping[str, HostDemand], excluded: frozenset[str] = frozenset()
    ) -> bool:
        """Say whether a set could be placed were all that is registered free and in service."""
        candidates = {
            host: [name for name in self.candidates(demand) if name not in excluded]
            for host, demand in hosts.items()
        }
        names = {name for found in candidates.values() for name in found}
        whole = {name: Room.whole(self.rooms[name].spec) for name in names}
        return len(place(hosts, candidates, whole).placed) == len(hosts)

    def _reload(self) -> None:
        self.rooms.clear()
        self._classes.clear()
        self._ranks.clear()
        self._queue.clear()
        for resource in self._view.resources.values():
            self.rooms[resource.name] = self._room(resource)
        for allocation in self._view.allocations.values():
            if allocation.state is AllocationState.QUEUED:
                self._ranks[allocation.id] = _rank(allocation)
        self._queue.extend(sorted(self._ranks.values()))
        self.doubtful = set(self._ranks)
        self.version += 1

    def _take_in_resource(self, name: str) -> None:
        before = self.rooms.get(name)
        resource = self._view.resources.get(name)
        after = self._room(resource) if resource else None
        if after:
            self.rooms[name] = after
        else:
            self.rooms.pop(name, None)
        old_spec = before.spec if before else None
        new_spec = after.spec if after else None
        if old_spec != new_spec:
            self._reclass(name, old_spec, new_spec)
            if old_spec:
                self.doubtful.update(self._ranks)
        if before != after:
            self.version += 1

    def _take_in_manager(self, manager_id: str) -> None:
        for resource in self._view.resources.values():
            if resource.manager == manager_id:
                self.rooms[resource.name] = self._room(resource)
        self.version += 1

    def _take_in_allocation(self, allocation_id: str, after: object) -> None:
        old = self._ranks.pop(allocation_id, None)
        if old is not None:
            del self._queue[bisect_left(self._queue, old)]
            self.doubtful.discard(allocation_id)
            self.version += 1
        if isinstance(after, Allocation) and after.state is AllocationState.QUEUED:
            rank = self._ranks[allocation_id] = _rank(after)
            insort(self._queue, rank)
            self.doubtful.add(allocation_id)
            self.version += 1

    def _candidates(self, demand: HostDemand) -> list[_Candidate]:
        found = self._classes.get(demand)
        if found is None:
            found = sorted(
                _candidate(room.spec)
                for room in self.rooms.values()
                if not mismatch(demand, room.spec)
            )
            if len(self._classes) < _MAX_CLASSES:
                self._classes[demand] = found
        return found

    def _reclass(self, name: str, old: Spec | None, new: Spec | None) -> None:
        for demand, found in self._classes.items():
            if old and not mismatch(demand, old):
                found.remove(_candidate(old))
            if new and not mismatch(demand, new):
                insort(found, _candidate(new))

    def _room(self, resource: Resource) -> Room:
        spec = stored_spec(resource.spec)
        closed, can_open = closure(resource, self._view.managers.get(resource.manager))
        return Room(
            spec,
            slots=resource.slots - resource.used_slots,
            cpus=resource.cpus - resource.used_cpus,
            memory=resource.memory - resource.used_memory,
            cards=frozenset(range(len(spec.gpus))).difference(resource.used_gpus),
            closed=closed,
            can_open=can_open,
        )


def closure(resource: Resource, manager: Manager | None) -> tuple[str, bool]:
    """Say why nothing of a resource can be granted now, and whether that can pass by itself.

    The script that commits grants checks the same (``include/room.lua``).
    """
    presence = manager.presence if manager else Presence.LOST
    if presence is not Presence.ONLINE:
        return f"its manager {resource.manager} is {presence.lower()}", False
    if resource.removed:
        return "removed by its manager", False
    if not resource.volunteered:
        return f"withdrawn{_because(resource.withdrawn_reason)}", False
    if resource.health is not Health.HEALTHY:
        return f"{resource.health.lower()}{_because(resource.axis_reason)}", False
    if resource.admin is not Admin.ENABLED:
        return f"{resource.admin.lower()}{_because(resource.axis_reason)}", False
    if resource.rest_until:
        return f"declined by its manager{_because(resource.rest_reason)}", True
    return "", True


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _rank(allocation: Allocation) -> _Rank:
    return -allocation.priority, allocation.turn, allocation.id


def _candidate(spec: Spec) -> _Candidate:
    # The plainest first: a plain demand leaves special and large machines alone.
    return (len(spec.gpus), len(spec.labels), spec.cpus, spec.memory), spec.name
