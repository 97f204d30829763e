from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.matching import mismatch
from hwprovisioner.allocate.plan import Grant, Request, plan
from hwprovisioner.allocate.room import Room, Share
from support.planning import (
    EXCLUSIVE_ROOMS,
    LABELLED,
    Candidates,
    Rooms,
    asks,
    can_be_placed,
    cpus,
    divisible,
    exclusive,
    granted,
    rooms_of,
    with_labels,
)

X, Y, ANY = with_labels("x"), with_labels("y"), HostDemand()
QUEUES = st.lists(st.lists(LABELLED, min_size=1, max_size=3), max_size=6).map(
    lambda sets: [asks(f"q{number}", *demands) for number, demands in enumerate(sets)]
)


def planned(queue: Sequence[Request], rooms: Rooms) -> list[Grant]:
    return plan(queue, rooms, Candidates(rooms))


def in_use(room: Room) -> Room:
    return replace(room, slots=0)


def away(room: Room) -> Room:
    return replace(room, closed="its manager is lost", can_open=False)


def resting(room: Room) -> Room:
    return replace(room, closed="declined", can_open=True)


def test_the_first_in_the_queue_goes_first() -> None:
    rooms = rooms_of(exclusive("a"))
    assert granted(planned([asks("one", ANY), asks("two", ANY)], rooms)) == {"one": {"h0": "a"}}


def test_a_set_is_granted_whole_or_not_at_all() -> None:
    rooms = rooms_of(exclusive("a", "x"), exclusive("b", "x"))
    assert planned([asks("three", X, X, X)], rooms) == []
    [grant] = planned([asks("two", X, X)], rooms)
    assert {placed.resource for placed in grant.hosts.values()} == {"a", "b"}


def test_requests_for_another_kind_go_ahead_of_one_that_waits() -> None:
    rooms = rooms_of(exclusive("a", "x"), exclusive("b", "y"))
    rooms["a"] = in_use(rooms["a"])
    assert granted(planned([asks("x", X), asks("y", Y)], rooms)) == {"y": {"h0": "b"}}


def test_a_large_set_keeps_what_it_could_have_from_those_behind_it() -> None:
    rooms = rooms_of(exclusive("a", "x"), exclusive("b", "x"), exclusive("c", "x"))
    rooms["c"] = in_use(rooms["c"])
    queue = [asks("set", X, X, X), *(asks(f"small{n}", X) for n in range(5))]
    assert planned(queue, rooms) == []


def test_a_large_set_is_not_starved_by_a_stream_of_small_ones() -> None:
    rooms = rooms_of(*(exclusive(name, "x") for name in "abc"))
    rooms = {name: in_use(room) for name, room in rooms.items()}
    queue = [asks("set", X, X, X)]
    for turn, freed in enumerate("abc"):
        queue.append(asks(f"small{turn}", X))
        rooms[freed] = Room.whole(rooms[freed].spec)
        grants = granted(planned(queue, rooms))
    assert set(grants) == {"set"}


def test_a_request_that_cannot_come_keeps_nothing() -> None:
    rooms = rooms_of(exclusive("a", "x"), exclusive("b", "y"))
    rooms["b"] = away(rooms["b"])
    grants = granted(planned([asks("pair", X, Y), asks("one", X)], rooms))
    assert grants == {"one": {"h0": "a"}}


def test_a_set_of_equal_hosts_that_cannot_all_come_keeps_nothing() -> None:
    rooms = rooms_of(exclusive("a", "x"), exclusive("b", "x"))
    rooms["b"] = away(rooms["b"])
    grants = granted(planned([asks("pair", X, X), asks("one", X)], rooms))
    assert grants == {"one": {"h0": "a"}}


def test_a_set_that_waits_for_what_rests_keeps_its_other_hosts() -> None:
    rooms = rooms_of(exclusive("a", "x"), exclusive("b", "y"))
    rooms["b"] = resting(rooms["b"])
    assert planned([asks("pair", X, Y), asks("one", X)], rooms) == []


def test_what_failed_a_request_is_not_tried_again_by_it_but_by_others() -> None:
    rooms = rooms_of(exclusive("a", "x"))
    grants = granted(planned([asks("one", X, excluded=["a"]), asks("two", X)], rooms))
    assert grants == {"two": {"h0": "a"}}


def test_a_divisible_resource_is_shared_until_it_is_used_up() -> None:
    rooms = rooms_of(divisible("d", cpus=8, instances=3))
    queue = [
        asks("one", cpus(4)),
        asks("two", cpus(3)),
        asks("three", cpus(2)),
        asks("four", cpus(1)),
    ]
    grants = planned(queue, rooms)
    assert list(granted(grants)) == ["one", "two"]
    assert grants[1].hosts["h0"].share == Share(3, 0, ())


def test_a_divisible_resource_is_not_filled_up_before_a_large_request() -> None:
    rooms = rooms_of(divisible("d", cpus=8))
    rooms["d"] = rooms["d"].without(Share(4, 0, ()))
    assert planned([asks("large", cpus(8)), asks("small", cpus(1))], rooms) == []


def test_another_divisible_resource_is_open_to_those_behind_a_large_request() -> None:
    rooms = rooms_of(divisible("d", cpus=8), divisible("e", cpus=4))
    rooms["d"] = rooms["d"].without(Share(4, 0, ()))
    grants = granted(planned([asks("large", cpus(8)), asks("small", cpus(1))], rooms))
    assert grants == {"small": {"h0": "e"}}


def test_the_rooms_that_were_handed_in_are_not_changed() -> None:
    rooms = rooms_of(exclusive("a"))
    planned([asks("one", ANY)], rooms)
    assert rooms == rooms_of(exclusive("a"))


@given(queue=QUEUES, rooms=EXCLUSIVE_ROOMS)
def test_grants_are_whole_fit_and_never_overlap(queue: list[Request], rooms: Rooms) -> None:
    by_id = {request.id: request for request in queue}
    used: list[str] = []
    for grant in planned(queue, rooms):
        hosts = by_id[grant.request].hosts
        assert grant.hosts.keys() == hosts.keys()
        for host, placed in grant.hosts.items():
            assert not mismatch(hosts[host], rooms[placed.resource].spec)
            assert rooms[placed.resource].slots == 1
            used.append(placed.resource)
    assert len(set(used)) == len(used)


@given(queue=QUEUES, rooms=EXCLUSIVE_ROOMS)
def test_nobody_waits_while_something_free_fits_and_nobody_is_before_it(
    queue: list[Request], rooms: Rooms
) -> None:
    """Before one is who stands before it in the queue and could use something that it could."""
    grants = {grant.request: grant for grant in planned(queue, rooms)}
    left = dict(rooms)
    for grant in grants.values():
        for placed in grant.hosts.values():
            left[placed.resource] = in_use(left[placed.resource])
    for place, request in enumerate(queue):
        if request.id in grants or not can_be_placed(list(request.hosts.values()), left):
            continue
        fits = _could_use(request, left)
        waiting = (other for other in queue[:place] if other.id not in grants)
        assert any(fits & _could_use(other, left) for other in waiting)


@given(queue=QUEUES, rooms=EXCLUSIVE_ROOMS)
def test_the_head_of_the_queue_is_granted_whenever_it_can_be(
    queue: list[Request], rooms: Rooms
) -> None:
    for head in queue[:1]:
        is_first = any(grant.request == head.id for grant in planned(queue, rooms))
        assert is_first == can_be_placed(list(head.hosts.values()), rooms)


@given(queue=QUEUES, rooms=EXCLUSIVE_ROOMS, data=st.data())
def test_the_order_of_the_rooms_does_not_change_who_is_granted(
    queue: list[Request], rooms: Rooms, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(sorted(rooms)))
    shuffled = {name: rooms[name] for name in order}
    assert granted(planned(queue, rooms)).keys() == granted(planned(queue, shuffled)).keys()


def _could_use(request: Request, rooms: Rooms) -> set[str]:
    return {
        name
        for name, room in rooms.items()
        if room.slots and not room.closed
        for demand in request.hosts.values()
        if not mismatch(demand, room.spec)
    }
