"""Small labs for tests of planning, as strategies and as plain values, and brute force."""

import itertools
from collections.abc import Iterable, Mapping, Sequence

from hypothesis import strategies as st

from hwprovisioner.allocate.demand import Division, Gpu, GpuDemand, HostDemand, Spec
from hwprovisioner.allocate.matching import mismatch
from hwprovisioner.allocate.notation import Bounds
from hwprovisioner.allocate.plan import Grant, Request
from hwprovisioner.allocate.room import Room, Share

Rooms = Mapping[str, Room]


def exclusive(name: str, labels: str = "", **more: object) -> Spec:
    """A machine with one label for each letter."""
    return Spec(name=name, labels=frozenset((letter, "") for letter in labels), **more)  # type: ignore[arg-type]


def divisible(
    name: str, cpus: int = 8, instances: int = 10, gpus: Sequence[Gpu] = (), labels: str = ""
) -> Spec:
    division = Division(instances, 1, 0)
    return exclusive(name, labels, cpus=cpus, gpus=tuple(gpus), division=division)


def rooms_of(*specs: Spec) -> dict[str, Room]:
    return {spec.name: Room.whole(spec) for spec in specs}


def with_labels(letters: str) -> HostDemand:
    return HostDemand(labels=tuple((letter, None) for letter in sorted(letters)))


def cpus(number: int) -> HostDemand:
    return HostDemand(cpus=Bounds(number))


def asks(request_id: str, *demands: HostDemand, excluded: Iterable[str] = ()) -> Request:
    hosts = {f"h{number}": demand for number, demand in enumerate(demands)}
    return Request(request_id, hosts, frozenset(excluded))


def candidates_in(rooms: Rooms) -> "Candidates":
    return Candidates(rooms)


class Candidates:
    """All resources that match, by name."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def __call__(self, demand: HostDemand) -> list[str]:
        return sorted(n for n, room in self._rooms.items() if not mismatch(demand, room.spec))


def granted(grants: Iterable[Grant]) -> dict[str, dict[str, str]]:
    """By request: the resource of each host."""
    return {
        grant.request: {host: placed.resource for host, placed in grant.hosts.items()}
        for grant in grants
    }


def can_be_placed(demands: Sequence[HostDemand], rooms: Rooms) -> bool:
    """Brute force: whether there is any way at all to place a set."""
    if not demands:
        return True
    first, rest = demands[0], demands[1:]
    for name, room in rooms.items():
        if room.closed or mismatch(first, room.spec):
            continue
        for share in _shares(first, room):
            if can_be_placed(rest, {**rooms, name: room.without(share)}):
                return True
    return False


def _shares(demand: HostDemand, room: Room) -> Iterable[Share]:
    """Every share of a room that would do, whichever cards it has."""
    share = room.share_for(demand)
    if share is None:
        return
    if room.spec.division is None or not demand.gpus:
        yield share
        return
    for chosen in itertools.combinations(sorted(room.cards), len(demand.gpus)):
        alone = Room(room.spec, 1, room.cpus, room.memory, frozenset(chosen))
        if alone.share_for(demand) is not None:
            yield Share(share.cpus, share.memory, chosen)


LETTERS = st.text(alphabet="xyz", max_size=2).map(lambda text: "".join(sorted(set(text))))
LABELLED = LETTERS.map(with_labels)
SETS = st.lists(LABELLED, min_size=1, max_size=4)

EXCLUSIVE_ROOMS = st.lists(st.tuples(LETTERS, st.booleans()), max_size=5).map(
    lambda drawn: {
        f"r{number}": Room(exclusive(f"r{number}", letters), int(free), 0, 0, frozenset())
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
        *(divisible(f"d{n}", c, i, gpus) for n, (c, i, gpus) in enumerate(drawn))
    )
)
