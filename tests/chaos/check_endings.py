"""Nothing ends but for a cause: its holder's will, its lease, or a fault that hit what it had."""

from collections.abc import Iterator, Sequence

from chaos.broken import Broken
from chaos.history import Line
from chaos.spans import Hit, hits
from chaos.story import AllocationStory, Story

_BY_ITS_HOLDER = {"RELEASED", "CANCELLED", "EXPIRED"}
_BY_ITS_RESOURCE = {"RESOURCE_LOST", "PREPARE_FAILED"}
#: A manager that was hit is given up after so long at the latest, and what it had ends then.
AFTERMATH_MS = 30_000.0


def check_endings(lines: Sequence[Line], story: Story) -> Iterator[Broken]:
    found = list(hits(lines))
    for known in story.allocations.values():
        if known.reason in _BY_ITS_RESOURCE:
            if not _was_hit(known, found, story):
                what = f"{known.id} ended {known.reason}, though nothing had happened to its boards"
                yield Broken.by(13, what, known.submitted, known.ended)
        elif known.ended and known.reason not in _BY_ITS_HOLDER:
            yield Broken.by(13, f"{known.id} ended {known.reason}", known.submitted, known.ended)


def _was_hit(known: AllocationStory, found: Sequence[Hit], story: Story) -> bool:
    """Say whether something had happened to Redis, or to a manager of its boards.

    Boards bear their manager's name.
    """
    boards = [hold.resource for hold in story.holds.values() if hold.allocation == known.id]
    return any(
        hit.begin <= known.end_ms <= hit.end + AFTERMATH_MS
        and (hit.loses or any(hit.name and board.startswith(f"{hit.name}-") for board in boards))
        for hit in found
    )
