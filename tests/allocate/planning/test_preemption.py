"""Who gives way, against brute force over everybody who could."""

import itertools
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import HostDemand, SetDemand
from hwprovisioner.allocate.planning.booked import Booked
from hwprovisioner.allocate.planning.order import Request
from hwprovisioner.allocate.planning.preemption import Prospect, Running, victims
from hwprovisioner.allocate.room import Room, Share
from support.planning import (
    LETTERS,
    SETS,
    SmallLab,
    can_be_placed,
    cpus,
    divisible,
    exclusive,
    with_labels,
)

ANY = HostDemand()
GAP = 2
URGENT = 10


class BusyLab(SmallLab):
    """A lab in which allocations run."""

    def run(
        self, name: str, *machines: str, priority: int = 0, since_ms: int = 0, number: int = 0
    ) -> Running:
        demand = cpus(number) if number else ANY
        shares = [Room.whole(self.specs[each]).share_for(demand) for each in machines]
        for machine, share in zip(machines, shares, strict=True):
            assert share
            self.used[machine].append(share)
            self.stand(machine)
        uses = tuple((m, share) for m, share in zip(machines, shares, strict=True) if share)
        return Running(name, priority, since_ms, uses)

    def prospect(self, *soon: tuple[str, Share]) -> Prospect:
        return Prospect(self.planner.finder, soon, self.now_ms)

    def rooms(self, gone: Sequence[Running] = ()) -> dict[str, Room]:
        """Return the rooms of all machines, were some allocations gone."""
        rooms = {name: self.planner.inventory.standing(name).room for name in self.specs}
        for each in gone:
            for name, share in each.hosts:
                rooms[name] = rooms[name].with_again(share)
        return rooms


def names(found: Sequence[Running]) -> list[str]:
    return [each.id for each in found]


def check(lab: BusyLab, request: Request, running: Sequence[Running]) -> None:
    """Hold the victims of a request to what brute force says."""
    wanted = request.asked.demand
    if lab.prospect().place(request).is_whole:
        assert can_be_placed(wanted, lab.rooms())
        return
    chosen = victims(request, running, lab.prospect(), GAP)
    may = [each for each in running if URGENT - each.priority >= GAP]
    assert set(chosen) <= set(may)
    if chosen:
        assert can_be_placed(wanted, lab.rooms(chosen))
        for fewer in itertools.combinations(chosen, len(chosen) - 1):
            assert not can_be_placed(wanted, lab.rooms(fewer))
    else:
        assert not can_be_placed(wanted, lab.rooms(may))


MACHINES = st.lists(st.tuples(LETTERS, st.integers(-1, 3)), min_size=1, max_size=6)
PRIORITIES = st.lists(st.sampled_from([0, 5, 8, 9, 10]), min_size=4, max_size=4)


@given(MACHINES, PRIORITIES, SETS)
def test_whoever_gives_way_is_needed_and_all_together_they_are_enough(
    machines: list[tuple[str, int]], priorities: list[int], wanted: SetDemand
) -> None:
    lab = BusyLab()
    for number, (letters, _) in enumerate(machines):
        lab.come(f"m{number}", exclusive(letters))
    running = [
        lab.run(f"a{who}", *held, priority=priority, since_ms=who)
        for who, priority in enumerate(priorities)
        if (held := [f"m{n}" for n, (_, holder) in enumerate(machines) if holder == who])
    ]
    check(lab, lab.ask("urgent", *wanted.hosts.values(), priority=URGENT), running)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(1, 4)), max_size=4),
    PRIORITIES,
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
)
def test_the_same_holds_of_machines_that_are_shared(
    uses: list[tuple[int, int]], priorities: list[int], wanted: list[int]
) -> None:
    lab = BusyLab(m0=divisible(8, 3), m1=divisible(8, 3))
    running, left = [], {"m0": 8, "m1": 8}
    slots = {"m0": 3, "m1": 3}
    for who, ((machine, number), priority) in enumerate(zip(uses, priorities, strict=False)):
        name = f"m{machine}"
        if left[name] >= number and slots[name]:
            left[name] -= number
            slots[name] -= 1
            running.append(lab.run(f"a{who}", name, priority=priority, number=number))
    check(lab, lab.ask("urgent", *map(cpus, wanted), priority=URGENT), running)


def test_the_lowest_priority_gives_way_first_then_who_has_run_for_the_shortest_time() -> None:
    lab = BusyLab(a=exclusive(), b=exclusive(), c=exclusive())
    running = [
        lab.run("middle", "a", priority=3),
        lab.run("early", "b", priority=1, since_ms=1),
        lab.run("late", "c", priority=1, since_ms=2),
    ]
    for order in itertools.permutations(running):
        one = lab.ask("one", ANY, priority=URGENT)
        assert names(victims(one, order, lab.prospect(), GAP)) == ["late"]
        two = lab.ask("two", ANY, ANY, priority=URGENT)
        assert sorted(names(victims(two, order, lab.prospect(), GAP))) == ["early", "late"]


def test_nobody_gives_way_for_less_than_the_gap_or_for_what_would_still_be_lacking() -> None:
    lab = BusyLab(a=exclusive("x"))
    running = [lab.run("r", "a", priority=URGENT - 1)]
    request = lab.ask("one", ANY, priority=URGENT)
    assert not victims(request, running, lab.prospect(), 2)
    assert names(victims(request, running, lab.prospect(), 1)) == ["r"]
    pair = lab.ask("pair", with_labels("x"), ANY, priority=URGENT)
    assert not victims(pair, running, lab.prospect(), 1)


def test_what_is_soon_free_anyway_is_had_without_anybodys_giving_way() -> None:
    lab = BusyLab(a=exclusive(), b=exclusive())
    cleaned, other = lab.run("", "a"), lab.run("other", "b")
    one = lab.ask("one", ANY, priority=URGENT)
    assert lab.prospect(*cleaned.hosts).place(one).is_whole
    pair = lab.ask("pair", ANY, ANY, priority=URGENT)
    assert names(victims(pair, [other], lab.prospect(*cleaned.hosts), GAP)) == ["other"]


def test_what_one_request_is_to_have_is_not_there_for_the_next() -> None:
    lab = BusyLab(a=exclusive(), b=exclusive(), c=exclusive())
    cleaned, low, high = lab.run("", "a"), lab.run("low", "b"), lab.run("high", "c", priority=1)
    prospect = lab.prospect(*cleaned.hosts)
    first, second, third = (lab.ask(name, ANY, priority=URGENT) for name in "123")
    prospect.take(prospect.place(first))
    assert not prospect.place(second).is_whole
    gone = victims(second, [low, high], prospect, GAP)
    assert names(gone) == ["low"]
    prospect.take(prospect.place(second, gone=gone), gone)
    assert names(victims(third, [high], prospect, GAP)) == ["high"]


def test_what_a_set_keeps_counts_for_it_and_for_nobody_else() -> None:
    lab = BusyLab(a=exclusive(), b=exclusive())
    running = [lab.run("r", "a")]
    pair = lab.ask("pair", ANY, ANY, priority=URGENT)
    lab.granted()
    assert lab.kept == {"pair": {"b"}}
    assert names(victims(pair, running, lab.prospect(), GAP, ["b"])) == ["r"]
    assert not victims(pair, running, lab.prospect(), GAP)


def test_what_is_booked_helps_only_those_who_will_have_ended_before() -> None:
    lab = BusyLab(a=exclusive())
    running = [lab.run("r", "a")]
    lab.planner.finder.booked["a"] = (Booked("b", Share(0, 0, ()), 1000, 2000),)
    boundless = lab.ask("boundless", ANY, priority=URGENT)
    assert not victims(boundless, running, lab.prospect(), GAP)
    short = lab.ask("short", ANY, priority=URGENT, max_ms=1000)
    assert names(victims(short, running, lab.prospect(), GAP)) == ["r"]


def test_what_is_out_of_service_or_has_failed_the_request_helps_nobody() -> None:
    lab = BusyLab(a=exclusive())
    running = [lab.run("r", "a")]
    failed = lab.ask("failed", ANY, priority=URGENT, excluded=frozenset("a"))
    assert not victims(failed, running, lab.prospect(), GAP)
    lab.stand("a", "draining", can_open=False)
    fresh = lab.ask("fresh", ANY, priority=URGENT)
    assert not victims(fresh, running, lab.prospect(), GAP)
