"""Placing the hosts of a set, against brute force."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import Gpu, GpuDemand, HostDemand, RelationKind, SetDemand
from hwprovisioner.allocate.notation import Bounds
from hwprovisioner.allocate.planning.placement import Placement, holds, place
from hwprovisioner.allocate.room import Room, Share
from support.planning import (
    DIVISIBLE_ROOMS,
    EXCLUSIVE_ROOMS,
    SETS,
    SHARED_DEMANDS,
    Rooms,
    a_set,
    can_be_placed,
    cpus,
    divisible,
    either,
    exclusive,
    fits,
    in_rack,
    related,
    rooms_of,
    with_labels,
)

RACKS = st.lists(st.sampled_from("123"), min_size=1, max_size=5).map(
    lambda racks: rooms_of(**{f"r{number}": in_rack(rack) for number, rack in enumerate(racks)})
)


def placed(wanted: SetDemand, rooms: Rooms, order: Sequence[str] = ()) -> Placement:
    names = order or sorted(rooms)
    found = {
        host: [(n, o) for o in demand.options for n in names if fits(o, rooms[n].spec, n)]
        for host, demand in wanted.hosts.items()
    }
    return place(found, rooms.__getitem__, wanted.relations)


def is_sound(wanted: SetDemand, rooms: Rooms, placement: Placement) -> bool:
    """Whether each host is where it may be, and nothing is given out twice."""
    return all(_is_within(name, rooms, placement) for name in rooms) and all(
        fits(wanted.hosts[host], rooms[p.resource].spec, p.resource)
        for host, p in placement.placed.items()
    )


def _is_within(name: str, rooms: Rooms, placement: Placement) -> bool:
    room = rooms[name]
    shares = [p.share for p in placement.placed.values() if p.resource == name]
    cards = [card for share in shares for card in share.gpus]
    if not shares:
        return True
    has_room = len(shares) <= room.slots and sum(share.cpus for share in shares) <= room.cpus
    return has_room and len(set(cards)) == len(cards) and room.cards.issuperset(cards)


def where(placement: Placement) -> Mapping[str, str]:
    return {host: placed.resource for host, placed in placement.placed.items()}


@given(wanted=SETS, rooms=EXCLUSIVE_ROOMS)
def test_a_set_is_placed_on_exclusive_resources_exactly_if_that_can_be_done(
    wanted: SetDemand, rooms: Rooms
) -> None:
    placement = placed(wanted, rooms)
    assert is_sound(wanted, rooms, placement)
    assert placement.is_whole == can_be_placed(wanted, rooms)


@given(wanted=SETS, rooms=EXCLUSIVE_ROOMS, data=st.data())
def test_the_order_of_hosts_and_resources_changes_nothing_of_how_many_are_placed(
    wanted: SetDemand, rooms: Rooms, data: st.DataObject
) -> None:
    shuffled = a_set(*data.draw(st.permutations(list(wanted.hosts.values()))))
    order = data.draw(st.permutations(sorted(rooms)))
    assert len(placed(wanted, rooms).placed) == len(placed(shuffled, rooms, order).placed)


@given(
    wanted=st.lists(SHARED_DEMANDS, min_size=1, max_size=5).map(
        lambda demands: a_set(*(replace(demand, gpus=()) for demand in demands))
    ),
    rooms=DIVISIBLE_ROOMS,
)
def test_a_set_is_placed_on_divisible_resources_exactly_if_that_can_be_done(
    wanted: SetDemand, rooms: Rooms
) -> None:
    placement = placed(wanted, rooms)
    assert is_sound(wanted, rooms, placement)
    assert placement.is_whole == can_be_placed(wanted, rooms)


@given(
    wanted=st.lists(SHARED_DEMANDS, min_size=1, max_size=4).map(lambda demands: a_set(*demands)),
    rooms=DIVISIBLE_ROOMS,
)
def test_no_card_and_no_processor_is_given_to_two_hosts(wanted: SetDemand, rooms: Rooms) -> None:
    assert is_sound(wanted, rooms, placed(wanted, rooms))


@given(rooms=RACKS, count=st.integers(2, 4), kind=st.sampled_from(RelationKind))
def test_hosts_that_stand_in_a_relation_are_placed_exactly_if_that_can_be_done(
    rooms: Rooms, count: int, kind: RelationKind
) -> None:
    wanted = a_set(*[HostDemand()] * count)
    relation = related(kind, *wanted.hosts)
    wanted = replace(wanted, relations=(relation,))
    placement = placed(wanted, rooms)
    assert holds(relation, placement.placed, rooms.__getitem__)
    assert placement.is_whole == can_be_placed(wanted, rooms)


@given(wanted=SETS, rooms=EXCLUSIVE_ROOMS, spec=st.sampled_from(["", "x", "yz", "xyz"]))
def test_only_what_one_of_the_stuck_hosts_could_use_places_one_more(
    wanted: SetDemand, rooms: Rooms, spec: str
) -> None:
    before = placed(wanted, rooms)
    more = {**rooms, "more": Room.whole(exclusive(spec))}
    after = placed(wanted, more)
    is_of_use = any(fits(wanted.hosts[h], more["more"].spec, "more") for h in before.stuck())
    assert len(after.placed) - len(before.placed) == int(is_of_use)


def test_a_host_moves_on_when_that_makes_room_for_another() -> None:
    rooms = rooms_of(a=exclusive("x"), b=exclusive("xy"), c=exclusive("yz"))
    wanted = a_set(with_labels("x"), with_labels("y"), with_labels("xy"))
    assert where(placed(wanted, rooms)) == {"h0": "a", "h1": "c", "h2": "b"}


def test_of_several_alternatives_the_first_that_can_be_had_is_taken() -> None:
    rooms = rooms_of(a=exclusive("x"), b=exclusive("y"))
    choosy = either(with_labels("x"), with_labels("y"))
    assert where(placed(a_set(choosy, choosy), rooms)) == {"h0": "a", "h1": "b"}
    wanted = a_set(choosy, with_labels("x"))
    assert where(placed(wanted, rooms)) == {"h0": "b", "h1": "a"}


def test_hosts_without_the_label_differ_from_all_others_and_are_the_same_as_none() -> None:
    rooms = rooms_of(a=in_rack("1"), b=exclusive(), c=exclusive())
    three = a_set(
        *[HostDemand()] * 3, relations=[related(RelationKind.DIFFERENT, "h0", "h1", "h2")]
    )
    assert placed(three, rooms).is_whole
    alike = a_set(HostDemand(), HostDemand(), relations=[related(RelationKind.SAME, "h0", "h1")])
    assert not placed(alike, rooms).is_whole


def test_cards_are_dealt_anew_when_a_later_host_needs_a_special_one() -> None:
    rooms = rooms_of(d=divisible(gpus=[Gpu("", "big"), Gpu("", "small")]))
    plain = HostDemand(gpus=(GpuDemand(),))
    big = HostDemand(gpus=(GpuDemand("", "big"),))
    placement = placed(a_set(plain, big), rooms)
    assert {h: p.share.gpus for h, p in placement.placed.items()} == {"h0": (1,), "h1": (0,)}


def test_a_share_is_the_least_that_is_asked_for_and_else_the_default() -> None:
    room = Room.whole(divisible(cpus=8))
    assert room.share_for(HostDemand()) == Share(1, 0, ())
    assert room.share_for(cpus(3)) == Share(3, 0, ())
    assert room.share_for(HostDemand(cpus=Bounds(None, 4))) == Share(1, 0, ())
    assert room.share_for(cpus(9)) is None


def test_all_of_an_exclusive_resource_is_given() -> None:
    spec = exclusive(cpus=8, memory=16, gpus=(Gpu(), Gpu()))
    assert Room.whole(spec).share_for(cpus(1)) == Share(8, 16, (0, 1))


@given(rooms=DIVISIBLE_ROOMS, demand=SHARED_DEMANDS)
def test_what_is_given_back_is_there_again(rooms: Rooms, demand: HostDemand) -> None:
    for room in rooms.values():
        share = room.share_for(demand)
        if share is not None:
            assert room.without(share).with_again(share) == room


@given(rooms=DIVISIBLE_ROOMS, demand=SHARED_DEMANDS)
def test_there_is_a_reason_exactly_if_there_is_no_share(rooms: Rooms, demand: HostDemand) -> None:
    for name, room in rooms.items():
        if fits(demand, room.spec, name):
            assert bool(room.shortage(demand)) == (room.share_for(demand) is None)


@pytest.mark.parametrize(
    ("taken", "demand", "reason"),
    [
        ([Share(5, 0, ())], cpus(4), "cpus: 3 free, wants 4"),
        ([Share(1, 0, (0,))], HostDemand(gpus=(GpuDemand(),)), "gpus: too few free"),
        ([Share(1, 0, ())] * 2, HostDemand(), "all instances in use"),
    ],
)
def test_a_shortage_says_what_there_is_too_little_of(
    taken: list[Share], demand: HostDemand, reason: str
) -> None:
    room = Room.whole(divisible(cpus=8, instances=2, gpus=[Gpu()]))
    for share in taken:
        room = room.without(share)
    assert room.shortage(demand) == reason


def test_an_exclusive_resource_that_is_taken_is_in_use() -> None:
    assert Room.whole(exclusive()).without(Share(0, 0, ())).shortage(HostDemand()) == "in use"
