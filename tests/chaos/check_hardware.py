"""What must hold at the hardware, as the boards and those who used them have written it down."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from chaos.broken import Broken
from chaos.check_twins import judged_elsewhere
from chaos.history import Line
from chaos.story import Story

#: A process may have been stopped between the look at its lease and the use: then it proves
#: nothing.
UNSURE_S = 0.02


@dataclass(slots=True)
class Board:
    """What is known of a board: whose it is, and since when.

    Attributes:
        dirty: the hold that it was last prepared for, and the line, until it is cleaned.
        last: the newest hold that it was ever prepared for.
        cleaned: when each hold was cleaned up after.
    """

    dirty: Line | None = None
    last: Line | None = None
    cleaned: dict[str, Line] = field(default_factory=dict)


def check_hardware(lines: Sequence[Line], story: Story) -> Iterator[Broken]:
    boards: dict[str, Board] = defaultdict(Board)
    elsewhere = judged_elsewhere(lines)
    for line in lines:
        if line.kind == "hardware" and line.at not in elsewhere:
            board = boards[line["resource"]]
            if line["action"] == "prepare":
                yield from _prepare(board, line)
            elif line["action"] == "cleaned":
                yield from _clean(board, line)
        elif line.kind == "use":
            yield from _use(boards[line["resource"]], line, story)
    for name, board in boards.items():
        if board.dirty:
            yield Broken.by(3, f"{name} was left uncleaned", board.dirty)


def _prepare(board: Board, line: Line) -> Iterator[Broken]:
    name, hold = line["resource"], line["hold"]
    is_anew = board.dirty and board.dirty["hold"] == hold
    if board.dirty and not (is_anew and board.dirty["allocation"] == line["allocation"]):
        what = f"{name} was prepared for {hold} before it was cleaned after {board.dirty['hold']}"
        yield Broken.by(3, what, board.dirty, line)
    if board.last and line["fence"] < board.last["fence"]:
        yield Broken.by(6, f"{name} was prepared with an old fence", board.last, line)
    if hold in board.cleaned:
        what = f"{name} was prepared for {hold}, which was over"
        yield Broken.by(6, what, board.cleaned[hold], line)
    board.dirty = board.last = line


def _clean(board: Board, line: Line) -> Iterator[Broken]:
    if board.dirty and board.dirty["hold"] != line["hold"]:
        what = f"{line['resource']} was cleaned after {line['hold']} under another's feet"
        yield Broken.by(1, what, board.dirty, line)
        return
    board.cleaned[line["hold"]] = line
    board.dirty = None


def _use(board: Board, line: Line, story: Story) -> Iterator[Broken]:
    """Whoever fences itself uses nothing that is another's.

    An allocation that was ended early, as its resource or its record was lost, is told so a moment
    later: its hardware cuts it off, which these boards do not.
    """
    if line.at - line["began"] > UNSURE_S:
        return
    user = line["allocation"]
    if user in story.lost:
        return
    known = story.allocations.get(user)
    if known and known.reason not in ("", "EXPIRED", "RELEASED", "CANCELLED"):
        return
    if board.dirty and board.dirty["allocation"] != user:
        what = f"{line['resource']} was used by allocation {user} while it was another's"
        yield Broken.by(1, what, board.dirty, line, known.ended if known else None)
    elif board.dirty is None and board.last and board.last["allocation"] == user:
        what = f"{line['resource']} was used by allocation {user} after it had been cleaned"
        cleaned = board.cleaned.get(board.last["hold"])
        yield Broken.by(1, what, cleaned, line, known.ended if known else None)
