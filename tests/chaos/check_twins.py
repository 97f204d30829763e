"""Of a manager that was started twice the one that is not the newest leaves its boards alone."""

from collections.abc import Iterator, Sequence

from chaos.broken import Broken
from chaos.history import Line
from chaos.spans import stalled_s

#: So long after the newest registration the other one must know of it.
GRACE_S = 1.0


def check_twins(lines: Sequence[Line]) -> Iterator[Broken]:
    for told, newest, line in _afterwards(lines):
        if line.at > newest.at + GRACE_S + stalled_s(lines, newest.at, line.at):
            who = f"{told['manager']}, of which a newer one had registered"
            what = f"{line['resource']} was touched by {who}"
            yield Broken.by(6, what, newest, line, told)


def judged_elsewhere(lines: Sequence[Line]) -> set[float]:
    """Return when a manager touched a board that it may not have known to be another's by then.

    Nobody can keep it from that but itself; how long it may go on `check_twins` says.
    """
    return {line.at for _, _, line in _afterwards(lines)}


def _afterwards(lines: Sequence[Line]) -> Iterator[tuple[Line, Line, Line]]:
    """Yield what the other one did after the newest had registered, with both reasons."""
    for told in lines:
        if told.kind == "superseded" and (newest := _newest_registration(lines, told)):
            for line in lines:
                if line.kind == "hardware" and line["pid"] == told["older"]:
                    if line.at > newest.at:
                        yield told, newest, line


def _newest_registration(lines: Sequence[Line], told: Line) -> Line | None:
    """Return the registration of which the other one was told; either may have been cut off."""
    registrations = (
        line
        for line in lines
        if line.kind == "log" and line["event"] == "register" and line.at < told.at
        if any(change[:2] == ["manager", told["manager"]] for change in line["changes"])
    )
    return max(registrations, key=lambda line: line.at, default=None)
