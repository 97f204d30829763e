"""What must hold of what clients asked and were answered."""

from collections.abc import Iterable, Iterator, Sequence

from chaos.broken import Broken
from chaos.calls import Call
from chaos.history import Line
from chaos.spans import Hit, hits, stalled_s
from chaos.story import Story

#: What the SDK may end a wait with, without having hidden too little.
_FAIR = {"LeaseLost", "PrepareFailed", "WaitTimeout"}
#: The clocks are read a moment apart, and Redis tells whole milliseconds.
ROUNDING_MS = 3.0
#: What hit somebody is felt for so long: no client waits longer.
CAUSE_MS = 40_000.0
#: A machine that ran nobody for so long in that time is a cause, too.
STALLED_S = 1.0


def check_calls(lines: Sequence[Line], calls: Sequence[Call], story: Story) -> Iterator[Broken]:
    """Of what Redis has lost nobody can say what was answered about it."""
    calls = [call for call in calls if call.allocation not in story.lost]
    lines = [line for line in lines if str(line.get("allocation")) not in story.lost]
    yield from _same_request(calls)
    yield from _misuse(calls)
    yield from _late_beats(calls, story)
    yield from _internal(calls)
    yield from _known(calls, story)
    yield from _outcomes(calls, story)
    yield from _released(calls, story)
    yield from _ready(lines, story)
    yield from _sdk(lines, story)


def _same_request(calls: Iterable[Call]) -> Iterator[Broken]:
    first: dict[str, Call] = {}
    for call in calls:
        if call.name != "allocate" or call.outcome != "ok":
            continue
        known = first.setdefault(call.asked["request"], call)
        for what in ("allocation", "token"):
            if call.get(what) != known.get(what):
                said = f"one request got two {what}s: {known.get(what)} and {call.get(what)}"
                yield Broken.by(8, said, *known.lines, *call.lines)


def _misuse(calls: Iterable[Call]) -> Iterator[Broken]:
    for call in calls:
        if call.get("misuse") and call.outcome == "ok":
            yield Broken.by(6, f"a {call.name} with a wrong token was accepted", *call.lines)


def _late_beats(calls: Iterable[Call], story: Story) -> Iterator[Broken]:
    """What has ended does not come back to life."""
    for call in calls:
        known = story.allocations.get(call.allocation)
        if call.name == "beat" and call.outcome == "ok" and known:
            if call.asked.wall_ms > known.end_ms + ROUNDING_MS:
                what = f"a heartbeat of {known.id} was accepted after its end"
                yield Broken.by(6, what, known.ended, *call.lines)


def _internal(calls: Iterable[Call]) -> Iterator[Broken]:
    for call in calls:
        if call.get("reason") == "INTERNAL" or call.get("code") == "INTERNAL":
            said = str(call.get("message", ""))
            if "RST_STREAM" not in said:
                yield Broken.by(0, f"a {call.name} met a fault of the service", *call.lines)


def _known(calls: Iterable[Call], story: Story) -> Iterator[Broken]:
    """What was acknowledged is there: in the log, and for whoever asks."""
    told: dict[str, Call] = {}
    for call in calls:
        if call.name == "allocate" and call.outcome == "ok":
            told.setdefault(call.allocation, call)
            if call.allocation not in story.allocations:
                what = f"allocation {call.allocation} was acknowledged and is in no log"
                yield Broken.by(13, what, *call.lines)
        elif call.get("reason") == "NO_SUCH_ALLOCATION" and call.allocation in told:
            what = f"allocation {call.allocation} was acknowledged and is unknown to a {call.name}"
            number = 11 if call.name == "get" else 13
            yield Broken.by(number, what, *told[call.allocation].lines, *call.lines)


def _outcomes(calls: Iterable[Call], story: Story) -> Iterator[Broken]:
    """Whoever asks why it ended is told why it ended."""
    for call in calls:
        reason = call.get("reason", "")
        known = story.allocations.get(call.allocation)
        if call.name == "get" and call.outcome == "ok" and reason and known:
            if reason != known.reason:
                what = f"{known.id} ended {known.reason}, and its waiter was told {reason}"
                yield Broken.by(11, what, known.ended, *call.lines)


def _released(calls: Iterable[Call], story: Story) -> Iterator[Broken]:
    for call in calls:
        known = story.allocations.get(call.allocation)
        if call.name == "release" and call.outcome == "ok" and known and not known.ended:
            what = f"{known.id} was given back, and has not ended"
            yield Broken.by(13, what, *call.lines)


def _ready(lines: Iterable[Line], story: Story) -> Iterator[Broken]:
    """What a client saw ready was ready, with the very holds that it was told, and has ended."""
    for line in lines:
        if line.kind not in ("ready", "held"):
            continue
        known = story.allocations.get(line["allocation"])
        if known is None or known.readied is None:
            yield Broken.by(13, f"{line['allocation']} was said to be ready and was not", line)
            continue
        if not known.ended:
            yield Broken.by(13, f"{known.id} was ready and has no end", known.readied, line)
        for resource, hold, _ in line.get("holds", []):
            of = story.holds.get(hold)
            if of is None or of.allocation != known.id or of.resource != resource:
                what = f"{known.id} was told that it has {hold}"
                yield Broken.by(7, what, line, of.granted if of else None)


def _sdk(lines: Sequence[Line], story: Story) -> Iterator[Broken]:
    """The SDK hides what it can, and loses nothing for which there is no cause."""
    fair = _FAIR | ({"NotFound"} if story.lost else set())
    found = [hit for hit in hits(lines) if hit.name]
    for line in lines:
        if line.kind == "trouble" and line["error"] not in fair:
            yield Broken.by(0, "the SDK did not hide what it should have hidden", line)
        elif line.kind in ("trouble", "lost") and not _has_cause(lines, line, found):
            yield Broken.by(0, "the SDK has met trouble, though nobody was hit", line)


def _has_cause(lines: Sequence[Line], line: Line, found: Iterable[Hit]) -> bool:
    begin = line.wall_ms - CAUSE_MS
    was_hit = any(hit.begin < line.wall_ms and hit.end > begin for hit in found)
    return was_hit or stalled_s(lines, line.at - CAUSE_MS / 1000, line.at) > STALLED_S
