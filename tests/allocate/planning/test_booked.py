"""What is free over a time, against looking at each moment; and who is let in before a booking."""

from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.planning.booked import Booked, room_during
from hwprovisioner.allocate.planning.inventory import Held
from hwprovisioner.allocate.planning.lineup import BOOKED
from hwprovisioner.allocate.room import Room, Share
from support.planning import SmallLab, cpus, divisible, exclusive

ONE = Share(1, 0, ())
ANY = HostDemand()
END = 20
HOLDS = st.lists(st.integers(0, 15), max_size=3).map(
    lambda ends: [Held(ONE, until_ms) for until_ms in ends]
)
BOOKINGS = st.lists(st.tuples(st.integers(0, 15), st.integers(1, 8)), max_size=4).map(
    lambda spans: [Booked(f"b{n}", ONE, a, a + span) for n, (a, span) in enumerate(spans)]
)


@given(held=HOLDS, booked=BOOKINGS, span=st.tuples(st.integers(1, 10), st.integers(0, 8)))
def test_what_is_free_over_a_time_is_free_at_each_moment_of_it(
    held: list[Held], booked: list[Booked], span: tuple[int, int]
) -> None:
    whole = Room.whole(divisible(20, instances=20))
    start, length = span
    until_ms = start + length if length else 0
    room = room_during(whole, held, booked, start, until_ms, from_now=False)
    moments = range(start, until_ms or 2 * END)
    assert room.cpus == min(whole.cpus - _used(held, booked, at) for at in moments)
    assert room.slots == min(whole.slots - _used(held, booked, at) for at in moments)


def _used(held: list[Held], booked: list[Booked], at: int) -> int:
    holding = sum(each.until_ms == 0 or each.until_ms > at for each in held)
    return holding + sum(each.from_ms <= at < each.until_ms for each in booked)


def test_what_is_in_use_now_counts_from_now_even_if_it_is_late() -> None:
    whole = Room.whole(exclusive())
    now = whole.without(Share(0, 0, ()))
    late = [Held(Share(0, 0, ()), 5)]
    assert room_during(now, late, [], 10, 20).slots == 0
    assert room_during(now, late, [], 10, 20, from_now=False).slots == 1


def booked_lab() -> SmallLab:
    """One machine, booked from 1,000 to 2,000."""
    lab = SmallLab(a=exclusive())
    booking = Booked("booking", Share(0, 0, ()), 1_000, 2_000)
    lab.planner.finder.booked["a"] = (booking,)
    return lab


def test_nobody_is_let_in_who_would_still_be_there() -> None:
    lab = booked_lab()
    lab.ask("unknown", ANY)
    lab.ask("long", ANY, max_ms=1_001)
    lab.ask("short", ANY, max_ms=1_000)
    assert lab.granted() == {"short": ["a"]}


def test_a_booking_gets_what_is_reserved_for_it_before_all_others() -> None:
    lab = booked_lab()
    lab.come("b", exclusive())
    lab.now_ms = 1_000
    lab.ask("before", ANY, priority=100)
    lab.ask("booking", ANY, priority=BOOKED, until_ms=2_000, reserved=("a",))
    assert lab.granted() == {"booking": ["a"], "before": ["b"]}


def test_what_is_reserved_is_let_go_when_the_booking_is_gone() -> None:
    lab = booked_lab()
    lab.ask("unknown", ANY)
    assert lab.granted() == {}
    del lab.planner.finder.booked["a"]
    lab.planner.look_at(["a", "gone"])
    assert lab.granted() == {"unknown": ["a"]}


def test_of_a_shared_machine_only_what_is_booked_is_held_back() -> None:
    lab = SmallLab(d=divisible(8))
    lab.planner.finder.booked["d"] = (Booked("booking", Share(6, 0, ()), 1_000, 2_000),)
    lab.ask("three", cpus(3), max_ms=1_500)
    lab.ask("two", cpus(2))
    lab.ask("five", cpus(5), max_ms=900)
    assert lab.granted() == {"two": ["d"], "five": ["d"]}


def test_a_second_share_for_a_time_is_not_promised_what_a_first_has_then() -> None:
    lab = SmallLab(d=divisible(8))
    lab.planner.finder.booked["d"] = (Booked("booking", Share(6, 0, ()), 1_000, 2_000),)
    lab.planner.finder.held = lambda name: [Held(share, 0) for share in lab.used[name]]
    lab.ask("two", cpus(2))
    assert lab.granted() == {"two": ["d"]}
    lab.ask("one", cpus(1))
    assert lab.granted() == {}
