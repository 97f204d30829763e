"""Nothing ends but for a cause: its holder's will, its lease, or a fault that hit what it had."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from chaos.broken import Broken
from chaos.history import Line
from chaos.story import AllocationStory, Story

_BY_ITS_HOLDER = {"RELEASED", "CANCELLED", "EXPIRED"}
_BY_ITS_RESOURCE = {"RESOURCE_LOST", "PREPARE_FAILED"}
#: A manager that was hit is given up after so long at the latest, and what it had ends then.
AFTERMATH_MS = 30_000.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A time in which something was hit, in ms since the epoch.

    Attributes:
        what: a manager, or empty if it concerns all.
    """

    what: str
    begin: float
    end: float


def check_endings(lines: Iterable[Line], story: Story) -> Iterator[Broken]:
    hits = list(_hits(lines))
    for known in story.allocations.values():
        if known.reason in _BY_ITS_RESOURCE:
            if not _was_hit(known, hits, story):
                what = f"{known.id} ended {known.reason}, though nothing had happened to its boards"
                yield Broken.by(13, what, known.submitted, known.ended)
        elif known.ended and known.reason not in _BY_ITS_HOLDER:
            yield Broken.by(13, f"{known.id} ended {known.reason}", known.submitted, known.ended)


def _hits(lines: Iterable[Line]) -> Iterator[Hit]:
    begun: dict[tuple[str, str], Line] = {}
    for line in lines:
        if line.kind != "fault" or not (line["hurts"].startswith("manager") or line.get("loses")):
            continue
        key = (line["fault"], line["target"])
        if line["phase"] == "begin":
            begun[key] = line
        elif begin := begun.pop(key, None):
            what = "" if line.get("loses") else line["hurts"]
            yield Hit(what, begin.wall_ms, line.wall_ms + AFTERMATH_MS)
    for begin in begun.values():
        yield Hit("" if begin.get("loses") else begin["hurts"], begin.wall_ms, float("inf"))


def _was_hit(known: AllocationStory, hits: Sequence[Hit], story: Story) -> bool:
    """Say whether something had happened to a manager of its boards, which bear its name."""
    boards = [hold.resource for hold in story.holds.values() if hold.allocation == known.id]
    return any(
        hit.begin <= known.end_ms <= hit.end
        and (not hit.what or any(board.startswith(f"{hit.what}-") for board in boards))
        for hit in hits
    )
