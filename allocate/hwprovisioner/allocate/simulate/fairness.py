"""Who had how much of what there was to share, against what was theirs. Pure.

The day is cut into slots. In a slot somebody is in need who has something queued all the time, and
that for hours. Two or more in need, whose queued requests have the same highest priority, share
what they held together in that slot. Of that, max-min fairness by weight says what was each one's:
nobody gets more than they asked for, nobody is given what their requests cannot use, and the rest
is shared out by weight. What they had and what was theirs is added up over the slots of the day, so
that who comes up short in one hour may have it in the next.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from hwprovisioner.allocate.planning.classes import Classes
from hwprovisioner.allocate.planning.inventory import Standing, bits
from hwprovisioner.allocate.room import Room
from hwprovisioner.allocate.simulate.flow import SINK, Edges, fair_shares
from hwprovisioner.allocate.simulate.scenario import Scenario
from hwprovisioner.allocate.simulate.trace import Run, Trace

SLOTS = 96
FEWEST = 10
"""Whoever was entitled to less than that many of their allocations is not judged: one more or less
would be more than the threshold."""
SHORTEST_MS = 2 * 3_600_000
"""A shorter wait in a row is no need: who asks now and then has what they waited for afterwards.
Nor is anybody judged who was in need with others for less than that."""
MOST_UNLIKE = 2.0
"""Where shares of one machine are more unlike in size, hosts do not compare: nobody is judged."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Share:
    """What somebody had while in need with others, and what was theirs; host-ms."""

    had_ms: int
    due_ms: int
    is_judged: bool

    @property
    def off(self) -> float:
        """By what part more (or less) they had than was theirs."""
        return self.had_ms / self.due_ms - 1 if self.due_ms else 0.0


@dataclass(frozen=True, slots=True)
class Shares:
    """What all had."""

    users: Mapping[str, Share] = field(default_factory=dict)
    shared_ms: int = 0
    """For how long two or more were in need."""

    @property
    def worst(self) -> float:
        """The largest deviation of anybody who is judged."""
        return max((abs(s.off) for s in self.users.values() if s.is_judged), default=0.0)


@dataclass(slots=True)
class _Pot:
    """What is shared in a slot."""

    held: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    """Host-ms by user and shape."""
    wanted: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """Host-ms held or waited for, by user and class."""
    parts: dict[int, set[float]] = field(default_factory=lambda: defaultdict(set))
    """By shape, what parts of a machine were held."""

    @property
    def compares(self) -> bool:
        """Whether one host is much like another."""
        return all(max(p) <= MOST_UNLIKE * min(p) for p in self.parts.values() if p)


def shares_of(scenario: Scenario, trace: Trace) -> Shares:
    """Return what users had while in need with others, over the day."""
    ledger = _Ledger(scenario, trace)
    had: dict[str, int] = defaultdict(int)
    due: dict[str, int] = defaultdict(int)
    in_need: dict[str, int] = defaultdict(int)
    shared_ms = 0
    for slot in ledger.slots():
        pots = [(users, ledger.pot(slot, users)) for users in ledger.groups(slot)]
        pots = [(users, pot) for users, pot in pots if pot.compares]
        shared_ms += slot[1] - slot[0] if pots else 0
        for users, pot in pots:
            for (user, _), held_ms in pot.held.items():
                had[user] += held_ms
            for user, due_ms in ledger.due(users, pot).items():
                due[user] += due_ms
                in_need[user] += slot[1] - slot[0]
    shares = {
        user: Share(
            had[user],
            due[user],
            in_need[user] >= SHORTEST_MS and ledger.is_enough(user, due[user]),
        )
        for user in sorted(due)
    }
    return Shares(shares, shared_ms)


class _Ledger:
    """What each user waited for and held, to be looked at slot by slot."""

    def __init__(self, scenario: Scenario, trace: Trace) -> None:
        self._scenario = scenario
        self._classes = Classes()
        for machine in scenario.machines:
            self._classes.inventory.put(machine.name, Standing(Room.whole(machine.spec)))
        self._runs = list(trace.runs.values())
        self._length_ms = -(-scenario.duration_ms // SLOTS)
        self._waiting = {user: self._need(runs) for user, runs in self._by_user().items()}
        self._in_slot: dict[int, list[Run]] = defaultdict(list)
        for run in self._runs:
            last_ms = min(scenario.duration_ms, self._until_ms(run))
            for nth in range(run.job.submit_ms // self._length_ms, last_ms // self._length_ms + 1):
                self._in_slot[nth].append(run)

    def slots(self) -> Iterable[Span]:
        """Return the slots of the day."""
        day_ms = self._scenario.duration_ms
        for start in range(0, day_ms, self._length_ms):
            yield start, min(start + self._length_ms, day_ms)

    def groups(self, slot: Span) -> Iterable[set[str]]:
        """Return those who are in need, each with those of the same priority."""
        by_priority: dict[int, set[str]] = defaultdict(set)
        runs = self._of(slot)
        for user, spans in self._waiting.items():
            if any(start <= slot[0] and slot[1] <= end for start, end in spans):
                waiting = (r.job.stream.priority for r in runs if _is_waiting(r, user, slot))
                by_priority[max(waiting)].add(user)
        return [users for users in by_priority.values() if len(users) > 1]

    def pot(self, slot: Span, users: Collection[str]) -> _Pot:
        """Return what users held and waited for in a slot."""
        pot = _Pot()
        for run in self._of(slot):
            job = run.job
            if job.stream.user not in users:
                continue
            asked_ms = _overlap(slot, (job.submit_ms, self._until_ms(run))) * job.hosts
            pot.wanted[job.stream.user, job.stream.key] += asked_ms
            for host in run.hosts:
                index = self._classes.inventory.shape_of(host.machine).index
                held_ms = _overlap(slot, (run.start_ms or 0, run.end_ms))
                pot.held[job.stream.user, index] += held_ms
                pot.parts[index] |= {host.part} if held_ms else set()
        return pot

    def due(self, users: Iterable[str], pot: _Pot) -> Mapping[str, int]:
        """Return what was each one's of a pot."""
        edges: Edges = {}
        wants: dict[str, int] = dict.fromkeys(users, 0)
        demands = {run.job.stream.key: run.job.stream.demand for run in self._runs}
        for (user, key), wanted_ms in pot.wanted.items():
            wants[user] += wanted_ms
            edges[user, (user, key)] = wanted_ms
            asked = self._classes.get(key, demands[key])
            shapes = 0
            for options in asked.hosts.values():
                for option in options:
                    shapes |= option.shapes
            for index in bits(shapes):
                edges[(user, key), ("shape", index)] = wanted_ms
        for (_, index), held_ms in pot.held.items():
            there = ("shape", index), SINK
            edges[there] = edges.get(there, 0) + held_ms
        weights = {user: self._scenario.policy.share_of(user).weight for user in wants}
        return fair_shares(wants, weights, edges)

    def is_enough(self, user: str, due_ms: int) -> bool:
        """Say whether so much is enough to be judged."""
        ran = [r for r in self._runs if r.job.stream.user == user and r.start_ms is not None]
        used_ms = sum((run.end_ms - (run.start_ms or 0)) * run.job.hosts for run in ran)
        return bool(ran) and due_ms >= FEWEST * used_ms / len(ran)

    def _of(self, slot: Span) -> list[Run]:
        return self._in_slot[slot[0] // self._length_ms]

    def _until_ms(self, run: Run) -> int:
        return self._scenario.duration_ms if run.start_ms is None else run.end_ms

    def _by_user(self) -> Mapping[str, list[Run]]:
        found: dict[str, list[Run]] = defaultdict(list)
        for run in self._runs:
            found[run.job.stream.user].append(run)
        return found

    def _need(self, runs: Iterable[Run]) -> list[Span]:
        """Return the long spans in which at least one of some requests waited."""
        spans: list[Span] = []
        for run in runs:
            start, end = run.job.submit_ms, run.start_ms
            end = self._scenario.duration_ms if end is None else end
            if spans and start <= spans[-1][1]:
                spans[-1] = spans[-1][0], max(end, spans[-1][1])
            elif start < end:
                spans.append((start, end))
        return [(start, end) for start, end in spans if end - start >= SHORTEST_MS]


def _overlap(one: Span, other: Span) -> int:
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))


def _is_waiting(run: Run, user: str, slot: Span) -> bool:
    if run.job.stream.user != user:
        return False
    return run.job.submit_ms < slot[1] and (run.start_ms is None or run.start_ms > slot[0])
