"""Leases: none ends too early, none too late.

While Redis was away, or every Allocate was, nobody could end anything; while a Heartbeat was, those
who beat there could not. Then leases may be given their full length again (`restore.lua`), so what
is due ends a lease after that at the latest.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from chaos.broken import Broken
from chaos.calls import Call
from chaos.check_calls import ROUNDING_MS
from chaos.history import Line
from chaos.spans import hits, restarts
from chaos.story import AllocationStory, Story

#: So long after its end a lease is over at the latest.
LATEST_MS = 250.0
#: Whoever was cut off has found back after so long: a second of back-off, then it loads its view.
GRACE_MS = 2500.0
#: A stall is written down so long after it at the latest.
TOLD_MS = 250.0
#: Of these, one that is away is enough.
_EACH_COUNTS = ("redis", "heartbeat")


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which nobody could look after leases, in ms since the epoch."""

    begin: float
    end: float


@dataclass(slots=True)
class Lateness:
    """How late leases ended.

    Attributes:
        latest_ms: how late one may end.
        plain: in ms, of those where nothing stood in the way.
        outage: how many ended in or after an outage.
        stalled: how many were due while the machine ran nobody for a quarter of a second or more.
        unsure: how many had heartbeats of which nobody knows whether they were taken.
        early: how many ended too early.
    """

    latest_ms: float = LATEST_MS
    plain: list[float] = field(default_factory=list)
    outage: int = 0
    stalled: int = 0
    unsure: int = 0
    early: int = 0


def check_leases(
    lines: Sequence[Line], calls: Sequence[Call], story: Story, lateness: Lateness
) -> Iterator[Broken]:
    """Yield what ended too early or too late, and add to `lateness`."""
    beats = defaultdict(list)
    for call in calls:
        if call.name == "beat" and not call.get("misuse"):
            beats[call.allocation].append(call)
    spans, stalls = outages(lines), [line for line in lines if line.kind == "stall"]
    for known in story.allocations.values():
        if known.reason == "EXPIRED" and known.id not in story.lost:
            before = [b for b in beats[known.id] if b.asked.wall_ms < known.end_ms]
            yield from _too_early(known, before, lateness)
            yield from _too_late(known, before, spans, stalls, lateness)


def _too_early(
    known: AllocationStory, beats: Sequence[Call], lateness: Lateness
) -> Iterator[Broken]:
    for beat in beats:
        lives_ms = beat.asked.wall_ms + known.ttl_ms - known.end_ms
        if beat.outcome == "ok" and lives_ms > ROUNDING_MS:
            lateness.early += 1
            what = f"{known.id} expired {lives_ms:.0f} ms too early: a heartbeat had been accepted"
            yield Broken.by(5, what, *beat.lines, known.ended)
            return
    lives_ms = known.submitted["t"] + known.ttl_ms - known.end_ms
    if lives_ms > ROUNDING_MS:
        lateness.early += 1
        what = f"{known.id} expired {lives_ms:.0f} ms too early"
        yield Broken.by(5, what, known.submitted, known.ended)


def _too_late(
    known: AllocationStory,
    beats: Sequence[Call],
    spans: Sequence[Span],
    stalls: Sequence[Line],
    lateness: Lateness,
) -> Iterator[Broken]:
    accepted = [beat for beat in beats if beat.outcome == "ok" and beat.answered]
    last = max((beat.answered.wall_ms for beat in accepted if beat.answered), default=0.0)
    last = max(last, known.submitted["t"])
    if any(b.outcome == "unknown" and _end_of(b) > last for b in beats):
        lateness.unsure += 1
        return
    due = last + known.ttl_ms
    stalled_ms = _stalled_ms(stalls, due, known.end_ms)
    latest_ms = lateness.latest_ms + stalled_ms
    limit = _limit(due, last, known.ttl_ms, spans, latest_ms)
    if limit > due + latest_ms:
        lateness.outage += 1
    elif stalled_ms > LATEST_MS:
        lateness.stalled += 1
    else:
        lateness.plain.append(known.end_ms - due)
    if known.end_ms > limit:
        newest = [beat for beat in accepted if beat.answered and beat.answered.wall_ms == last]
        lines = newest[0].lines if newest else [known.submitted]
        what = f"{known.id} expired {known.end_ms - due:.0f} ms late"
        yield Broken.by(4, what, *lines, known.ended)


def _stalled_ms(stalls: Iterable[Line], due: float, end: float) -> float:
    """Return how long the machine did not run Redis, and whoever else it ran least."""
    by_process: dict[str, float] = defaultdict(float)
    for stall in stalls:
        if due < stall.wall_ms < end + TOLD_MS:
            by_process[stall.get("process", "")] += 1000 * stall["s"]
    return by_process.pop("redis", 0.0) + max(by_process.values(), default=0.0)


def _end_of(call: Call) -> float:
    return call.answered.wall_ms if call.answered else float("inf")


def _limit(
    due: float, last: float, ttl_ms: float, spans: Sequence[Span], latest_ms: float
) -> float:
    """Until when a lease must have ended that was extended last at some time."""
    limit = due + latest_ms
    for span in spans:
        if span.begin < limit and span.end > last:
            limit = max(limit, span.end + ttl_ms + latest_ms)
    return limit


def outages(lines: Sequence[Line]) -> list[Span]:
    """Return when leases may have been paused, until whoever was away has found back."""
    away: dict[str, list[Span]] = defaultdict(list)
    for hit in hits(lines):
        away[hit.name].append(Span(hit.begin, hit.end + GRACE_MS))
    found = [span for name in away for span in away[name] if name.startswith(_EACH_COUNTS)]
    allocates = sorted({line["name"] for line in lines if line.kind == "serves"})
    for hit in restarts(lines):
        if hit.name in allocates:  # of the others none is missed: they sign off
            away[hit.name].append(Span(hit.begin, hit.end))
    if allocates:
        common = away[allocates[0]]
        for name in allocates[1:]:
            common = list(_overlaps(common, away[name]))
        found += common
    return sorted(found, key=lambda span: span.begin)


def _overlaps(one: Iterable[Span], other: Sequence[Span]) -> Iterator[Span]:
    for a in one:
        for b in other:
            begin, end = max(a.begin, b.begin), min(a.end, b.end)
            if begin < end:
                yield Span(begin, end)
