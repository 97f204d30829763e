"""What a day is told as: for people to read, and as JSON."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from hwprovisioner.allocate.simulate.judging import (
    MOST_IDLE,
    MOST_UNFAIR,
    Verdict,
)
from hwprovisioner.allocate.simulate.scenario import Scenario
from hwprovisioner.allocate.simulate.trace import Run, Trace

HOUR_MS = 3_600_000
_SHOWN = 5
_HEAD = ("", "requests", "granted", "ended", "waiting", "for", "median", "p90", "max", "host-h")


@dataclass(frozen=True, slots=True)
class Row:
    """How the requests of a user or a stream fared. Waits of those still waiting count as well."""

    name: str
    requests: int
    granted: int
    ended: int
    waiting: int
    longest_waiting_ms: int
    """Of those that wait at the end of the day."""
    median_ms: int
    p90_ms: int
    max_ms: int
    host_hours: float


def rows(trace: Trace, day_ms: int, of: Callable[[Run], str]) -> list[Row]:
    """Return one row for each user or stream, as `of` tells them apart."""
    by_name: dict[str, list[Run]] = defaultdict(list)
    for run in trace.runs.values():
        by_name[of(run)].append(run)
    return [_row(name, runs, day_ms) for name, runs in sorted(by_name.items())]


def _row(name: str, runs: Sequence[Run], day_ms: int) -> Row:
    waits = sorted(run.waited_ms(day_ms) for run in runs)
    granted = [run for run in runs if run.start_ms is not None]
    still = [run.waited_ms(day_ms) for run in runs if run.start_ms is None]
    held_ms = sum((min(r.end_ms, day_ms) - (r.start_ms or 0)) * r.job.hosts for r in granted)
    return Row(
        name=name,
        requests=len(runs),
        granted=len(granted),
        ended=sum(run.end_ms <= day_ms for run in granted),
        waiting=len(still),
        longest_waiting_ms=max(still, default=0),
        median_ms=round(statistics.median(waits)),
        p90_ms=waits[(len(waits) * 9 - 1) // 10],
        max_ms=waits[-1],
        host_hours=held_ms / HOUR_MS,
    )


def as_text(scenario: Scenario, trace: Trace, verdict: Verdict) -> str:
    """Return all of it for people to read."""
    by_user = rows(trace, scenario.duration_ms, lambda run: run.job.stream.user)
    by_stream = rows(trace, scenario.duration_ms, lambda run: run.job.stream.name)
    return "\n".join(
        [
            f"{len(scenario.machines)} resources, {len(trace.runs)} requests,"
            f" {shown(scenario.duration_ms)}",
            *_table("user", by_user),
            *_table("stream", by_stream),
            *judgements(verdict),
        ]
    )


def judgements(verdict: Verdict) -> Iterator[str]:
    """Return the four judgements, each with its numbers."""
    yield from _starvation(verdict)
    yield from _backfill(verdict)
    yield from _fair_share(verdict)
    yield from _utilisation(verdict)


def _starvation(verdict: Verdict) -> Iterator[str]:
    found = verdict.starvation
    by = f" ({found.longest})" if found.longest else ""
    yield f"{_mark(found.holds)} starvation: the longest wait was {shown(found.longest_ms)}{by}"
    who = f" ({found.passed_over})" if found.passed_over else ""
    yield (
        f"     passed over while first in line: {found.most_passed_over} times{who}, at most"
        f" {found.most_allowed} allowed; granted out of turn: {found.out_of_turn}, none allowed"
    )


def _backfill(verdict: Verdict) -> Iterator[str]:
    found = verdict.backfill
    yield (
        f"{_mark(found.holds)} backfill: {len(found.delayed)} of {found.sets} sets delayed by it;"
        f" {found.loans} loans; {len(found.promised)} who kept something knew their start"
    )
    for each in found.delayed[:_SHOWN]:
        start = "not by the end" if each.start_ms is None else shown(each.start_ms)
        yield (
            f"     {each.request}: certain for {shown(each.promised_ms)}, started {start}, had lent"
            f" to {each.borrower}"
        )
    worst = max(found.later.values(), default=0)
    yield (
        f"     the same day without backfill: {len(found.later)} sets start later with it (at most"
        f" {shown(worst)}), {found.sooner} sooner"
    )


def _fair_share(verdict: Verdict) -> Iterator[str]:
    found = verdict.fair_share
    yield (
        f"{_mark(found.worst <= MOST_UNFAIR)} fair share: at most {found.worst:.1%} off (allowed"
        f" {MOST_UNFAIR:.0%}), in {shown(found.shared_ms)} with two or more users in need"
    )
    for user, share in found.users.items():
        yield (
            f"     {user}: {share.had_ms / HOUR_MS:.1f} host-hours of {share.due_ms / HOUR_MS:.1f}"
            f" ({share.off:+.1%}){'' if share.is_judged else ', too little to judge'}"
        )


def _utilisation(verdict: Verdict) -> Iterator[str]:
    found = verdict.utilisation
    used = found.busy_ms / found.there_ms if found.there_ms else 0.0
    of_most = found.busy_ms / found.most_ms if found.most_ms else 1.0
    yield (
        f"{_mark(found.holds)} utilisation: {_beside(found.gap)} a clairvoyant packing (allowed"
        f" {MOST_IDLE:.0%}; {found.rule})"
    )
    yield (
        f"     {found.busy_ms / HOUR_MS:.1f} host-hours in use, packing"
        f" {found.packed_ms / HOUR_MS:.1f}; {of_most:.1%} of what no schedule can pass,"
        f" {used:.1%} of all there is"
    )


def as_json(scenario: Scenario, trace: Trace, verdict: Verdict) -> dict[str, object]:
    """Return all of it as plain data; times in ms, parts as numbers from 0 to 1."""
    day_ms = scenario.duration_ms
    return {
        "holds": verdict.holds,
        "resources": len(scenario.machines),
        "requests": len(trace.runs),
        "duration_ms": day_ms,
        "events": trace.events,
        "users": [_plain(row) for row in rows(trace, day_ms, lambda run: run.job.stream.user)],
        "streams": [_plain(row) for row in rows(trace, day_ms, lambda run: run.job.stream.name)],
        "starvation": {
            "holds": verdict.starvation.holds,
            **_plain(verdict.starvation),
        },
        "backfill": {
            "holds": verdict.backfill.holds,
            "sets": verdict.backfill.sets,
            "loans": verdict.backfill.loans,
            "delayed": [_plain(each) for each in verdict.backfill.delayed],
            "promised": dict(verdict.backfill.promised),
            "later_than_without_ms": dict(verdict.backfill.later),
            "sooner_than_without": verdict.backfill.sooner,
        },
        "fair_share": {
            "holds": verdict.fair_share.worst <= MOST_UNFAIR,
            "worst": verdict.fair_share.worst,
            "allowed": MOST_UNFAIR,
            "shared_ms": verdict.fair_share.shared_ms,
            "users": {
                user: {**_plain(share), "off": share.off}
                for user, share in verdict.fair_share.users.items()
            },
        },
        "utilisation": {
            "holds": verdict.utilisation.holds,
            "gap": verdict.utilisation.gap,
            "allowed": MOST_IDLE,
            **_plain(verdict.utilisation),
        },
    }


def _plain(record: object) -> dict[str, object]:
    slots: Iterable[str] = record.__slots__  # type: ignore[attr-defined]
    return {name: getattr(record, name) for name in slots}


def _table(what: str, lines: Sequence[Row]) -> Iterator[str]:
    cells = [(what, *_HEAD[1:]), *map(_cells, lines)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    yield ""
    for line in cells:
        first, *rest = line
        numbers = (c.rjust(width) for c, width in zip(rest, widths[1:], strict=True))
        yield "  ".join([first.ljust(widths[0]), *numbers])
    if what == "stream":
        yield ""


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name or '""',
        *(str(number) for number in (row.requests, row.granted, row.ended, row.waiting)),
        shown(row.longest_waiting_ms) if row.waiting else "-",
        *(shown(ms) for ms in (row.median_ms, row.p90_ms, row.max_ms)),
        f"{row.host_hours:.1f}",
    )


def _beside(gap: float) -> str:
    return f"{gap:.1%} below" if gap >= 0 else f"{-gap:.1%} above"


def _mark(holds: bool) -> str:
    return "ok  " if holds else "FAIL"


def shown(ms: int) -> str:
    """Return a span, or a moment of the day, short enough for a table."""
    seconds = round(ms / 1000)
    if seconds < 60:
        return f"{seconds}s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}m{seconds:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m"
