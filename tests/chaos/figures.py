"""The figures of a run, for people to read."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from chaos.broken import Broken
from chaos.check_leases import Lateness
from chaos.history import Line
from chaos.story import Story, story_of


def figures(lines: Sequence[Line], broken: Sequence[Broken], lateness: Lateness) -> list[str]:
    """Return them, one line each."""
    story = story_of(lines)
    reasons = Counter(known.reason or "none" for known in story.allocations.values())
    ready = sum(known.readied is not None for known in story.allocations.values())
    ended = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return [
        f"allocations    {len(story.allocations)}, {ready} of them became ready; ended: {ended}",
        f"waits          {_waits(story)}",
        f"calls          {_calls(lines)}",
        f"faults         {sum(_faults(lines).values())}, of {len(_faults(lines))} kinds",
        *_faults_and_recoveries(lines),
        f"false expiries {lateness.early}",
        f"doubles        {sum(b.promise == 1 for b in broken)}",
        f"leaks          {sum(b.promise == 3 for b in broken)}",
        f"lateness       {_lateness(lateness)}",
    ]


def percentiles(values: Sequence[float], unit: str) -> str:
    """Return median, 99th percentile and maximum."""
    if not values:
        return "none"
    ordered = sorted(values)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.5, 0.99)]
    return f"p50 {at[0]:.0f} {unit}, p99 {at[1]:.0f} {unit}, max {ordered[-1]:.0f} {unit}"


def _waits(story: Story) -> str:
    """How long those waited who got something, from the request to the first grant."""
    granted: dict[str, float] = {}
    for change in story.changes:
        if change.kind == "allocation" and change.line["event"] == "grant":
            granted.setdefault(change.id, float(change.line["t"]))
    waited = [
        at - float(story.allocations[name].submitted["t"])
        for name, at in granted.items()
        if name in story.allocations
    ]
    return percentiles(waited, "ms")


def _calls(lines: Sequence[Line]) -> str:
    outcomes = Counter(line["outcome"] for line in lines if line.kind == "answer")
    return ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())


def _faults(lines: Sequence[Line]) -> Counter[str]:
    begun = (line for line in lines if line.kind == "fault" and line["phase"] == "begin")
    return Counter(line["fault"] for line in begun)


def _faults_and_recoveries(lines: Sequence[Line]) -> list[str]:
    took = defaultdict(list)
    for line in lines:
        if line.kind == "recovered":
            took[line["fault"]].append(1000 * line["s"])
    return [
        f"  {kind:<19} {count:>3}, recovered in {percentiles(took[kind], 'ms')}"
        for kind, count in sorted(_faults(lines).items())
    ]


def _lateness(late: Lateness) -> str:
    said = f"of {len(late.plain)} leases {percentiles(late.plain, 'ms')}"
    others = f"{late.outage} in or after an outage, {late.stalled} while the machine stood still"
    return f"{said}; {others}, {late.unsure} cannot be told"
