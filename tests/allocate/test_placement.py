from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import Gpu, GpuDemand, HostDemand
from hwprovisioner.allocate.matching import mismatch
from hwprovisioner.allocate.notation import Bounds
from hwprovisioner.allocate.placement import Placement, place
from hwprovisioner.allocate.room import Room, Share
from support.planning import (
    DIVISIBLE_ROOMS,
    EXCLUSIVE_ROOMS,
    SETS,
    SHARED_DEMANDS,
    Candidates,
    Rooms,
    can_be_placed,
    cpus,
    divisible,
    exclusive,
    rooms_of,
    with_labels,
)


def placed(demands: Sequence[HostDemand], rooms: Rooms, order: Sequence[str] = ()) -> Placement:
    named = {f"h{number}": demand for number, demand in enumerate(demands)}
    names = order or sorted(rooms)
    found = {
        host: [n for n in names if not rooms[n].closed and not mismatch(demand, rooms[n].spec)]
        for host, demand in named.items()
    }
    return place(named, found, rooms)


def is_sound(demands: Sequence[HostDemand], rooms: Rooms, placement: Placement) -> bool:
    """Whether each host is where it may be, and nothing is given out twice."""
    return all(_is_within(room, placement) for room in rooms.values()) and all(
        not mismatch(demands[int(host[1:])], rooms[p.resource].spec)
        for host, p in placement.placed.items()
    )


def _is_within(room: Room, placement: Placement) -> bool:
    shares = [p.share for p in placement.placed.values() if p.resource == room.spec.name]
    cards = [card for share in shares for card in share.gpus]
    if not shares:
        return True
    has_room = len(shares) <= room.slots and sum(share.cpus for share in shares) <= room.cpus
    return has_room and len(set(cards)) == len(cards) and room.cards.issuperset(cards)


@given(demands=SETS, rooms=EXCLUSIVE_ROOMS)
def test_a_set_is_placed_on_exclusive_resources_exactly_if_that_can_be_done(
    demands: list[HostDemand], rooms: Rooms
) -> None:
    placement = placed(demands, rooms)
    assert is_sound(demands, rooms, placement)
    assert (len(placement.placed) == len(demands)) == can_be_placed(demands, rooms)


@given(demands=SETS, rooms=EXCLUSIVE_ROOMS, data=st.data())
def test_the_order_of_hosts_and_resources_changes_nothing_of_how_many_are_placed(
    demands: list[HostDemand], rooms: Rooms, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(demands))
    order = data.draw(st.permutations(sorted(rooms)))
    assert len(placed(demands, rooms).placed) == len(placed(shuffled, rooms, order).placed)


@given(demands=st.lists(SHARED_DEMANDS, min_size=1, max_size=5), rooms=DIVISIBLE_ROOMS)
def test_a_set_is_placed_on_divisible_resources_exactly_if_that_can_be_done(
    demands: list[HostDemand], rooms: Rooms
) -> None:
    demands = [replace(demand, gpus=()) for demand in demands]
    placement = placed(demands, rooms)
    assert is_sound(demands, rooms, placement)
    assert (len(placement.placed) == len(demands)) == can_be_placed(demands, rooms)


@given(demands=st.lists(SHARED_DEMANDS, min_size=1, max_size=4), rooms=DIVISIBLE_ROOMS)
def test_no_card_and_no_processor_is_given_to_two_hosts(
    demands: list[HostDemand], rooms: Rooms
) -> None:
    assert is_sound(demands, rooms, placed(demands, rooms))


def test_a_host_moves_on_when_that_makes_room_for_another() -> None:
    rooms = rooms_of(exclusive("a", "x"), exclusive("b", "xy"), exclusive("c", "yz"))
    demands = [with_labels("x"), with_labels("y"), with_labels("xy")]
    placement = placed(demands, rooms)
    assert {h: p.resource for h, p in placement.placed.items()} == {"h0": "a", "h1": "c", "h2": "b"}


def test_cards_are_dealt_anew_when_a_later_host_needs_a_special_one() -> None:
    rooms = rooms_of(divisible("d", gpus=[Gpu("", "big"), Gpu("", "small")]))
    plain = HostDemand(gpus=(GpuDemand(),))
    big = HostDemand(gpus=(GpuDemand("", "big"),))
    placement = placed([plain, big], rooms)
    assert {h: p.share.gpus for h, p in placement.placed.items()} == {"h0": (1,), "h1": (0,)}


def test_a_share_is_the_least_that_is_asked_for_and_else_the_default() -> None:
    room = Room.whole(divisible("d", cpus=8))
    assert room.share_for(HostDemand()) == Share(1, 0, ())
    assert room.share_for(cpus(3)) == Share(3, 0, ())
    assert room.share_for(HostDemand(cpus=Bounds(None, 4))) == Share(1, 0, ())
    assert room.share_for(cpus(9)) is None


def test_all_of_an_exclusive_resource_is_given() -> None:
    spec = exclusive("a", cpus=8, memory=16, gpus=(Gpu(), Gpu()))
    assert Room.whole(spec).share_for(cpus(1)) == Share(8, 16, (0, 1))


@given(rooms=DIVISIBLE_ROOMS, demand=SHARED_DEMANDS)
def test_what_is_given_back_is_there_again(rooms: Rooms, demand: HostDemand) -> None:
    for room in rooms.values():
        share = room.share_for(demand)
        if share is not None:
            assert room.without(share).with_again(share) == room


@given(rooms=DIVISIBLE_ROOMS, demand=SHARED_DEMANDS)
def test_there_is_a_reason_exactly_if_there_is_no_share(rooms: Rooms, demand: HostDemand) -> None:
    for room in rooms.values():
        if not mismatch(demand, room.spec):
            assert bool(room.shortage(demand)) == (room.share_for(demand) is None)


def test_a_shortage_says_what_there_is_too_little_of() -> None:
    spec = divisible("d", cpus=8, instances=2, gpus=[Gpu()])
    room = Room.whole(spec)
    card = HostDemand(gpus=(GpuDemand(),))
    assert room.without(Share(5, 0, ())).shortage(cpus(4)) == "cpus: 3 free, wants 4"
    assert room.without(Share(1, 0, (0,))).shortage(card) == "gpus: too few free"
    full = room.without(Share(1, 0, ())).without(Share(1, 0, ()))
    assert full.shortage(HostDemand()) == "all instances in use"
    taken = Room.whole(exclusive("a")).without(Share(0, 0, ()))
    assert taken.shortage(HostDemand()) == "in use"


def test_candidates_are_what_matches() -> None:
    rooms = rooms_of(exclusive("a", "x"), exclusive("b"))
    assert Candidates(rooms)(with_labels("x")) == ["a"]
