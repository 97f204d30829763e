"""What can be promised from a time to a time, against brute force over every instant."""

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import HostDemand, RelationKind, SetDemand, Spec
from hwprovisioner.allocate.planning.booked import Booked, room_during
from hwprovisioner.allocate.planning.booking import Booking, Conflict, plan_booking, still_stands
from hwprovisioner.allocate.planning.inventory import Held
from hwprovisioner.allocate.planning.placement import Placed
from hwprovisioner.allocate.room import Room, Share
from support.planning import (
    LETTERS,
    SETS,
    SmallLab,
    a_set,
    can_be_placed,
    cpus,
    divisible,
    exclusive,
    in_rack,
    related,
    with_labels,
)

ANY = HostDemand()
END = 12
"""Nothing but what has no end is later."""

SPANS = st.tuples(st.integers(1, END), st.integers(1, END)).filter(lambda span: span[0] < span[1])
HELD = st.lists(st.integers(0, END), max_size=2)
BOOKED = st.lists(SPANS, max_size=3)


def booked(from_ms: int, until_ms: int, share: Share, by: str = "other") -> Booked:
    return Booked(by, share, from_ms, until_ms)


def instants(from_ms: int, until_ms: int) -> range:
    return range(from_ms, until_ms or END + 2)


def free_throughout(
    whole: Room, held: Sequence[Held], bookings: Sequence[Booked], from_ms: int, until_ms: int
) -> tuple[int, int]:
    """Brute force: the instances and processors that are free at every instant."""
    slots, processors = whole.slots, whole.cpus
    for instant in instants(from_ms, until_ms):
        used = [each.share for each in held if not each.until_ms or each.until_ms > instant]
        used += [each.share for each in bookings if each.from_ms <= instant < each.until_ms]
        slots = min(slots, whole.slots - len(used))
        processors = min(processors, whole.cpus - sum(share.cpus for share in used))
    return slots, processors


@given(HELD, BOOKED, st.one_of(SPANS, st.integers(1, END).map(lambda begin: (begin, 0))))
def test_the_room_of_a_time_is_what_is_free_at_each_instant_of_it(
    ends: list[int], spans: list[tuple[int, int]], span: tuple[int, int]
) -> None:
    whole = Room.whole(divisible(100, 10))
    held = [Held(Share(3 + n, 0, ()), end) for n, end in enumerate(ends)]
    bookings = [booked(*times, Share(5 + n, 0, ())) for n, times in enumerate(spans)]
    now = whole
    for each in held:
        now = now.without(each.share)
    found = room_during(now, held, bookings, *span, from_now=False)
    assert (found.slots, found.cpus) == free_throughout(whole, held, bookings, *span)


class BookingLab(SmallLab):
    """A lab whose machines are held and booked for some time."""

    def __init__(self, **specs: Spec) -> None:
        super().__init__()
        for name, spec in specs.items():
            self.come(name, spec)
        self.held: dict[str, list[Held]] = {}
        self.finder = self.planner.finder
        self.finder.held = lambda name: self.held.get(name, ())

    def hold(self, name: str, until_ms: int) -> None:
        share = Room.whole(self.specs[name]).share_for(ANY)
        assert share
        self.held.setdefault(name, []).append(Held(share, until_ms))
        self.use(name, ends_ms=until_ms)

    def book(self, name: str, from_ms: int, until_ms: int, by: str = "other") -> None:
        share = Room.whole(self.specs[name]).share_for(ANY)
        assert share
        before = self.finder.booked.get(name, ())
        self.finder.booked[name] = (*before, booked(from_ms, until_ms, share, by))

    def booking(
        self, wanted: SetDemand, from_ms: int, until_ms: int, reserved: Sequence[str] = ()
    ) -> Booking:
        """What is asked for; of the booking mine if something is reserved."""
        asked = self.planner.classes.get(repr(wanted), wanted)
        booking_id = "mine" if reserved else ""
        return Booking(asked, from_ms, until_ms, booking_id, reserved=tuple(reserved))

    def plan(
        self, wanted: SetDemand, from_ms: int = 5, until_ms: int = 8
    ) -> Mapping[str, str] | Conflict:
        booking = self.booking(wanted, from_ms, until_ms)
        found = plan_booking(booking, self.finder, {"other": "bob"}.__getitem__)
        if isinstance(found, Conflict):
            return found
        return {host: placed.resource for host, placed in found.items()}


MACHINES = st.lists(st.tuples(LETTERS, st.sampled_from([None, 0, 3, 7]), BOOKED), max_size=5)


@given(MACHINES, SETS, SPANS)
def test_a_set_is_promised_if_there_is_any_way_and_only_what_is_free_throughout(
    machines: list[tuple[str, int | None, list[tuple[int, int]]]],
    wanted: SetDemand,
    span: tuple[int, int],
) -> None:
    lab = BookingLab()
    free = dict[str, Room]()
    for number, (letters, until_ms, spans) in enumerate(machines):
        name = f"r{number}"
        lab.come(name, exclusive(letters))
        if until_ms is not None:
            lab.hold(name, until_ms)
        for times in spans:
            lab.book(name, *times)
        whole = Room.whole(lab.specs[name])
        bookings = lab.finder.booked.get(name, ())
        if free_throughout(whole, lab.held.get(name, ()), bookings, *span)[0] > 0:
            free[name] = whole
    found = lab.plan(wanted, *span)
    if isinstance(found, Conflict):
        assert not can_be_placed(wanted, free)
        assert found.hosts
    else:
        assert found.keys() == wanted.hosts.keys()
        assert len(set(found.values())) == len(found)
        assert set(found.values()) <= free.keys()


def test_what_is_neither_used_nor_booked_is_promised_first_and_the_plainest_of_it() -> None:
    lab = BookingLab(a=exclusive(), b=exclusive(), special=exclusive("x"), c=exclusive())
    lab.hold("a", 2)
    lab.book("b", 20, 30)
    assert lab.plan(a_set(ANY)) == {"h0": "c"}
    lab.book("c", 20, 30)
    assert lab.plan(a_set(ANY)) == {"h0": "special"}


def test_hosts_that_are_to_be_in_one_rack_are_promised_one_that_is_free_then() -> None:
    lab = BookingLab(a=in_rack("1"), b=in_rack("1"), c=in_rack("2"), d=in_rack("2"))
    lab.book("a", 4, 6)
    same = a_set(ANY, ANY, relations=[related(RelationKind.SAME, "h0", "h1")])
    found = lab.plan(same)
    assert not isinstance(found, Conflict)
    assert set(found.values()) == {"c", "d"}


def test_what_is_away_is_not_promised_and_what_only_rests_is() -> None:
    lab = BookingLab(a=exclusive(), b=exclusive())
    lab.stand("a", "maintenance", can_open=False)
    lab.stand("b", "declined by its manager", can_open=True)
    assert lab.plan(a_set(ANY)) == {"h0": "b"}
    assert isinstance(lab.plan(a_set(ANY, ANY)), Conflict)


def test_shares_of_a_machine_are_promised_as_long_as_they_fit() -> None:
    lab = BookingLab(d=divisible(8))
    lab.finder.booked["d"] = (booked(5, 7, Share(5, 0, ())), booked(7, 9, Share(4, 0, ())))
    assert lab.plan(a_set(cpus(3)), 5, 9) == {"h0": "d"}
    assert isinstance(lab.plan(a_set(cpus(4)), 5, 9), Conflict)
    assert lab.plan(a_set(cpus(4)), 7, 9) == {"h0": "d"}


def test_a_conflict_counts_what_stands_in_the_way() -> None:
    lab = BookingLab(other=exclusive())
    for name in "abcdef":
        lab.come(name, exclusive("x"))
    for name in "abc":
        lab.hold(name, 0)
    lab.book("d", 4, 6)
    lab.stand("e", "draining", can_open=False)
    lab.hold("f", 60_000)
    found = lab.plan(a_set(with_labels("x"), ANY))
    assert isinstance(found, Conflict)
    assert found.hosts == {
        "h0": "6 resources match: 3 are held by an allocation that does not say for how long,"
        " 1 is booked from 1970-01-01 00:00 to 00:00 UTC by bob, 1 is out of service (draining),"
        " 1 for other reasons"
    }


def test_a_booking_stands_as_long_as_what_it_was_promised_can_be_had() -> None:
    lab = BookingLab(a=exclusive("x"), b=exclusive("x"))
    lab.book("a", 5, 8, by="mine")
    mine = lab.booking(a_set(with_labels("x")), 5, 8, ["a"])
    reserved = {"h0": Placed("a", Share(0, 0, ()))}
    assert still_stands(mine, reserved, lab.finder)
    lab.hold("a", 5)
    assert still_stands(mine, reserved, lab.finder)
    lab.free("a")
    lab.stand("a", "draining", can_open=False)
    assert not still_stands(mine, reserved, lab.finder)
    lab.come("a", exclusive("y"))
    assert not still_stands(mine, reserved, lab.finder)
    lab.go("a")
    assert not still_stands(mine, reserved, lab.finder)
    assert plan_booking(mine, lab.finder) == {"h0": Placed("b", Share(0, 0, ()))}


def test_a_booking_that_moves_keeps_what_it_can() -> None:
    lab = BookingLab(a=exclusive(), b=exclusive(), c=exclusive())
    lab.stand("c", "draining", can_open=False)
    lab.book("b", 5, 8, by="mine")
    lab.book("c", 5, 8, by="mine")
    mine = lab.booking(a_set(ANY, ANY), 5, 8, ["b", "c"])
    found = plan_booking(mine, lab.finder)
    assert not isinstance(found, Conflict)
    assert {placed.resource for placed in found.values()} == {"a", "b"}
