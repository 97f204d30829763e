"""The four judgements on a day: starvation, backfill, fair share, utilisation. Pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hwprovisioner.allocate.simulate.fairness import Shares, shares_of
from hwprovisioner.allocate.simulate.packing import best_packing, most_busy_ms
from hwprovisioner.allocate.simulate.scenario import Scenario
from hwprovisioner.allocate.simulate.trace import Run, Trace
from hwprovisioner.allocate.simulate.workload import Job

MOST_PASSED_OVER = 10
"""So often may something that it lacks be given to others while a request is first in line."""
MOST_UNFAIR = 0.10
MOST_IDLE = 0.05


@dataclass(frozen=True, slots=True)
class Starvation:
    """Whether somebody was passed over again and again."""

    longest_ms: int
    longest: str
    """The request that waited longest; empty if there was none."""
    most_passed_over: int
    passed_over: str
    """Who was first in line and passed over most often, measured by how often that may be."""
    most_allowed: int
    """So often that may be."""
    out_of_turn: int
    """Grants of a later request of the same user for the same, of no higher priority and not said
    to be shorter, before an earlier one."""

    @property
    def holds(self) -> bool:
        """Whether nobody was starved."""
        return self.most_passed_over <= self.most_allowed and not self.out_of_turn


@dataclass(frozen=True, slots=True)
class Delayed:
    """A set that started after the time that was certain, because of a loan."""

    request: str
    promised_ms: int
    start_ms: int | None
    borrower: str


@dataclass(frozen=True, slots=True)
class Backfill:
    """What lending did to those who lent."""

    sets: int
    loans: int
    delayed: tuple[Delayed, ...]
    promised: Mapping[str, tuple[int, int | None]] = field(default_factory=dict)
    """By set that kept something: the start that was certain at first, and the start."""
    later: Mapping[str, int] = field(default_factory=dict)
    """By set that starts later than on the same day without backfill, by how much (ms)."""
    sooner: int = 0
    """So many start sooner than without."""

    @property
    def holds(self) -> bool:
        """Whether no set was delayed."""
        return not self.delayed


@dataclass(frozen=True, slots=True)
class Utilisation:
    """How much of the machines was used. Machine-time in ms."""

    busy_ms: float
    packed_ms: float
    rule: str
    most_ms: float
    """What no schedule can pass: what the machines could do of the work that had come."""
    there_ms: int
    """All there was."""

    @property
    def gap(self) -> float:
        """By what part less was used than by the packing; below 0 if it was more."""
        return 1 - self.busy_ms / self.packed_ms if self.packed_ms else 0.0

    @property
    def holds(self) -> bool:
        """Whether it was near the packing."""
        return self.gap <= MOST_IDLE


@dataclass(frozen=True, slots=True)
class Verdict:
    """All four."""

    starvation: Starvation
    backfill: Backfill
    fair_share: Shares
    utilisation: Utilisation

    @property
    def holds(self) -> bool:
        """Whether all four hold."""
        return (
            self.starvation.holds
            and self.backfill.holds
            and self.fair_share.worst <= MOST_UNFAIR
            and self.utilisation.holds
        )


def judge(scenario: Scenario, trace: Trace, without: Trace) -> Verdict:
    """Judge a day; `without` is the same day without backfill."""
    return Verdict(
        starvation=starvation(trace, scenario.duration_ms),
        backfill=backfill(trace, without),
        fair_share=shares_of(scenario, trace),
        utilisation=utilisation(scenario, trace),
    )


def starvation(trace: Trace, day_ms: int) -> Starvation:
    """Judge whether somebody was starved."""
    runs = trace.runs.values()
    longest = max(runs, key=lambda run: run.waited_ms(day_ms), default=None)
    passed = Counter(each.waiting for each in trace.passed_over)
    allowed = {name: _most_passed_over(trace.runs[name].job) for name in passed}
    first = max(passed, key=lambda name: passed[name] / allowed[name], default="")
    return Starvation(
        longest_ms=longest.waited_ms(day_ms) if longest else 0,
        longest=longest.job.id if longest else "",
        most_passed_over=passed[first],
        passed_over=first,
        most_allowed=allowed.get(first, MOST_PASSED_OVER),
        out_of_turn=_out_of_turn(runs),
    )


def _most_passed_over(job: Job) -> int:
    """Return how often a request may be passed over: a large set may let more go by at first."""
    return max(MOST_PASSED_OVER, 2 * job.hosts)


def _out_of_turn(runs: Iterable[Run]) -> int:
    """Count grants before an earlier request of the same user for the same."""
    lines: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        lines[run.job.stream.user, run.job.stream.key].append(run)
    return sum(_overtakings(line) for line in lines.values())


def _overtakings(line: list[Run]) -> int:
    """Count those in a line who started before one who came earlier and had no worse rank.

    Going back through the line, only the earliest start of each sort of request matters.
    """
    found = 0
    latest: dict[tuple[int, int], float] = {}
    for run in line:
        start = float("inf") if run.start_ms is None else float(run.start_ms)
        sort = run.job.stream.priority, run.job.max_ms
        found += any(
            priority >= sort[0] and start < other and (not sort[1] or 0 < max_ms <= sort[1])
            for (priority, max_ms), other in latest.items()
        )
        latest[sort] = max(latest.get(sort, 0.0), start)
    return found


def backfill(trace: Trace, without: Trace) -> Backfill:
    """Judge whether lending delayed anybody."""
    sets = [run for run in trace.runs.values() if run.job.hosts > 1]
    later: dict[str, int] = {}
    sooner = 0
    for run in sets:
        other = without.runs[run.job.id].start_ms
        if run.start_ms is not None and other is not None:
            later |= {run.job.id: run.start_ms - other} if run.start_ms > other else {}
            sooner += run.start_ms < other
    promised = {
        request: (promised_ms, trace.runs[request].start_ms)
        for request, promised_ms in trace.promises.items()
    }
    return Backfill(len(sets), len(trace.loans), _delayed(trace), promised, later, sooner)


def _delayed(trace: Trace) -> tuple[Delayed, ...]:
    """Return who started after the promise under which they lent, as what they lent was in use."""
    lent_to: dict[str, set[str]] = defaultdict(set)
    for loan in trace.loans:
        lent_to[loan.keeper].add(loan.borrower)
    freed = _freed(trace) if trace.loans else {}
    found: dict[str, Delayed] = {}
    for loan in trace.loans:
        keeper, borrower = trace.runs[loan.keeper], trace.runs[loan.borrower]
        freed_ms = max(host.freed_ms for host in borrower.hosts if host.machine == loan.machine)
        if freed_ms > max(loan.promised_ms, _anyway(keeper, lent_to[loan.keeper], freed)):
            found.setdefault(
                loan.keeper, Delayed(loan.keeper, loan.promised_ms, keeper.start_ms, loan.borrower)
            )
    return tuple(found.values())


def _freed(trace: Trace) -> dict[str, list[tuple[int, str]]]:
    """Return by machine when it was freed by whom."""
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for run in trace.runs.values():
        for host in run.hosts:
            found[host.machine].append((host.freed_ms, run.job.id))
    return found


def _anyway(
    keeper: Run, borrowers: Collection[str], freed: Mapping[str, Sequence[tuple[int, str]]]
) -> int:
    """Return when the last of a set's machines was freed by somebody to whom it had not lent.

    Before that it could not have started either, so what was lent has not delayed it.
    """
    start_ms = keeper.start_ms
    return max(
        (
            freed_ms
            for host in keeper.hosts
            for freed_ms, by in freed[host.machine]
            if by not in borrowers and start_ms is not None and freed_ms <= start_ms
        ),
        default=0,
    )


def utilisation(scenario: Scenario, trace: Trace) -> Utilisation:
    """Compare the use of the machines with what somebody could do who knows all in advance."""
    jobs = [run.job for run in trace.runs.values()]
    packing = best_packing(scenario, jobs)
    return Utilisation(
        busy_ms=busy_ms(trace, scenario.duration_ms),
        packed_ms=packing.busy_ms,
        rule=packing.rule,
        most_ms=most_busy_ms(scenario, jobs),
        there_ms=len(scenario.machines) * scenario.duration_ms,
    )


def busy_ms(trace: Trace, day_ms: int) -> float:
    """Return for how long machines were in use, added up."""
    return sum(
        (min(host.freed_ms, day_ms) - run.start_ms) * host.part
        for run in trace.runs.values()
        if run.start_ms is not None
        for host in run.hosts
    )
