"""Small labs for tests of planning, as plain values and as strategies, and brute force."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from hwprovisioner.allocate.demand import (
    Division,
    Gpu,
    GpuDemand,
    HostDemand,
    Relation,
    RelationKind,
    SetDemand,
    Spec,
)
from hwprovisioner.allocate.matching import mismatch, name_mismatch
from hwprovisioner.allocate.notation import Bounds
from hwprovisioner.allocate.planning.board import Grant
from hwprovisioner.allocate.planning.inventory import Standing
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.planning.planner import Planner
from hwprovisioner.allocate.room import Room, Share

Rooms = Mapping[str, Room]


def exclusive(labels: str = "", **more: Any) -> Spec:
    """A machine with one label for each letter."""
    return Spec(labels=frozenset((letter, "") for letter in labels), **more)


def divisible(
    cpus: int = 8, instances: int = 10, gpus: Sequence[Gpu] = (), labels: str = ""
) -> Spec:
    """A machine that is shared out, one processor for whoever does not say how many."""
    return exclusive(labels, cpus=cpus, gpus=tuple(gpus), division=Division(instances, 1, 0))


def in_rack(rack: str, **more: Any) -> Spec:
    """A machine with the label ``rack``."""
    return Spec(labels=frozenset({("rack", rack)}), **more)


def rooms_of(**specs: Spec) -> dict[str, Room]:
    """The rooms of unused machines, by name."""
    return {name: Room.whole(spec) for name, spec in specs.items()}


def with_labels(letters: str) -> HostDemand:
    """A host with one label for each letter."""
    return HostDemand(labels=tuple((letter, None) for letter in sorted(letters)))


def cpus(number: int) -> HostDemand:
    """A host with so many processors at least."""
    return HostDemand(cpus=Bounds(number))


def either(*options: HostDemand) -> HostDemand:
    """A host for which one of several will do, the first best."""
    return HostDemand(alternatives=options)


def a_set(*demands: HostDemand, relations: Sequence[Relation] = ()) -> SetDemand:
    """A set with the hosts h0, h1 and so on."""
    hosts = {f"h{number}": demand for number, demand in enumerate(demands)}
    return SetDemand(hosts, tuple(relations))


def related(kind: RelationKind, *hosts: str, label: str = "rack") -> Relation:
    """A relation between hosts."""
    return Relation(kind, label, hosts)


class SmallLab:
    """A planner that is told in few words, and what was granted by name."""

    def __init__(
        self,
        planner: Planner | None = None,
        specs: Mapping[str, Spec] | None = None,
        **more: Spec,
    ) -> None:
        """Begin with some machines, unused."""
        self.planner = planner or Planner()
        self.now_ms = 0
        self.used: dict[str, list[Share]] = {}
        self.specs: dict[str, Spec] = {}
        self._turn = 0
        for name, spec in {**(specs or {}), **more}.items():
            self.come(name, spec)

    def come(self, name: str, spec: Spec) -> None:
        """Have another machine, unused."""
        self.specs[name], self.used[name] = spec, []
        self.stand(name)

    def go(self, name: str) -> None:
        """Have a machine no longer."""
        del self.specs[name], self.used[name]
        self.planner.set_resource(name, None)

    def stand(
        self, name: str, closed: str = "", *, can_open: bool = True, ends_ms: int = 0
    ) -> None:
        """Say how a machine is now; what is used of it stays so."""
        room = Room.whole(self.specs[name])
        for share in self.used[name]:
            room = room.without(share)
        self.planner.set_resource(name, Standing(room, closed, can_open), ends_ms)

    def use(self, name: str, number: int | None = None, ends_ms: int = 0) -> None:
        """Let something that nobody has queued for use a machine, or some processors of it."""
        share = Room.whole(self.specs[name]).share_for(
            HostDemand() if number is None else cpus(number)
        )
        assert share is not None
        self.used[name].append(share)
        self.stand(name, ends_ms=ends_ms)

    def free(self, *names: str) -> None:
        """End all that uses some machines."""
        for name in names:
            self.used[name] = []
            self.stand(name)

    def ask(self, request_id: str, *demands: HostDemand, **more: Any) -> Request:
        """Queue a request; the class is told by what is asked for."""
        wanted = a_set(*demands, relations=more.pop("relations", ()))
        asked = self.planner.classes.get(repr(wanted), wanted)
        self._turn += 1
        more.setdefault("turn", self._turn)
        request = Request(request_id, more.pop("user", request_id), asked, **more)
        self.planner.add(request)
        return request

    def decide(self) -> list[Grant]:
        """Decide, and note what is used then."""
        grants = self.planner.decide(self.now_ms)
        for grant in grants:
            for placed in grant.hosts.values():
                self.used[placed.resource].append(placed.share)
        return grants

    def granted(self) -> dict[str, list[str]]:
        """Decide; by request, the machines of its hosts in the order of the hosts' names."""
        return {
            grant.request: [grant.hosts[host].resource for host in sorted(grant.hosts)]
            for grant in self.decide()
        }

    @property
    def kept(self) -> dict[str, set[str]]:
        """By request, what it keeps."""
        return {name: keeper.names for name, keeper in self.planner.keepers.items()}


def fits(demand: HostDemand, spec: Spec, name: str) -> bool:
    """Say whether a machine is what a host asks for, as plainly as can be."""
    return any(
        not mismatch(option, spec) and not name_mismatch(option, spec, name)
        for option in demand.options
    )


def ways(
    wanted: SetDemand, rooms: Rooms, excluded: Iterable[str] = ()
) -> Iterable[dict[str, tuple[str, Share]]]:
    """Brute force: every way there is to place a set."""
    left_out = frozenset(excluded)
    for placed in _ways(list(wanted.hosts.items()), dict(rooms), left_out):
        if _relations_hold(wanted, placed, rooms):
            yield placed


def can_be_placed(wanted: SetDemand, rooms: Rooms, excluded: Iterable[str] = ()) -> bool:
    """Brute force: whether there is any way at all to place a set."""
    return any(True for _ in ways(wanted, rooms, excluded))


def _relations_hold(
    wanted: SetDemand, placed: Mapping[str, tuple[str, Share]], rooms: Rooms
) -> bool:
    values = [
        [dict(rooms[placed[host][0]].spec.labels).get(relation.label) for host in relation.hosts]
        for relation in wanted.relations
    ]
    return all(
        None not in found and len(set(found)) == 1
        if relation.kind is RelationKind.SAME
        else len({v for v in found if v is not None}) == sum(v is not None for v in found)
        for relation, found in zip(wanted.relations, values, strict=True)
    )


def _ways(
    hosts: list[tuple[str, HostDemand]], rooms: dict[str, Room], excluded: frozenset[str]
) -> Iterable[dict[str, tuple[str, Share]]]:
    if not hosts:
        yield {}
        return
    (host, demand), *rest = hosts
    for name, room in rooms.items():
        if name in excluded:
            continue
        for share in _shares(demand, room, name):
            for others in _ways(rest, {**rooms, name: room.without(share)}, excluded):
                yield {host: (name, share), **others}


def _shares(demand: HostDemand, room: Room, name: str) -> Iterable[Share]:
    """Every share of a room that would do, whichever cards it has."""
    for option in demand.options:
        if not fits(option, room.spec, name) or (share := room.share_for(option)) is None:
            continue
        if room.spec.division is None or not option.gpus:
            yield share
            continue
        for chosen in itertools.combinations(sorted(room.cards), len(option.gpus)):
            alone = Room(room.spec, 1, room.cpus, room.memory, frozenset(chosen))
            if alone.share_for(option) is not None:
                yield Share(share.cpus, share.memory, chosen)


LETTERS = st.text(alphabet="xyz", max_size=2).map(lambda text: "".join(sorted(set(text))))
LABELLED = LETTERS.map(with_labels)
SETS = st.lists(LABELLED, min_size=1, max_size=4).map(lambda demands: a_set(*demands))

EXCLUSIVE_ROOMS = st.lists(st.tuples(LETTERS, st.booleans()), max_size=5).map(
    lambda drawn: {
        f"r{number}": Room(exclusive(letters), int(free), 0, 0, frozenset())
        for number, (letters, free) in enumerate(drawn)
    }
)

GPUS = st.lists(st.sampled_from(["small", "big"]).map(lambda model: Gpu("", model, 0)), max_size=3)
SHARED_DEMANDS = st.builds(
    HostDemand,
    cpus=st.sampled_from([1, 2, 3, 5]).map(Bounds),
    gpus=st.lists(st.sampled_from(["", "big"]).map(lambda m: GpuDemand("", m)), max_size=2).map(
        tuple
    ),
)
DIVISIBLE_ROOMS = st.lists(
    st.tuples(st.integers(1, 8), st.integers(1, 3), GPUS), min_size=1, max_size=3
).map(
    lambda drawn: rooms_of(
        **{f"d{n}": divisible(c, i, gpus) for n, (c, i, gpus) in enumerate(drawn)}
    )
)
