"""Of a manager that was started twice the older one leaves its boards alone."""

from collections.abc import Iterator, Sequence

from chaos.broken import Broken
from chaos.history import Line
from chaos.spans import stalled_s

#: So long after the newer one has begun with a board the older one must know.
GRACE_S = 1.0


def check_twins(lines: Sequence[Line]) -> Iterator[Broken]:
    for told in lines:
        if told.kind == "superseded":
            yield from _touched(lines, told)


def _touched(lines: Sequence[Line], told: Line) -> Iterator[Broken]:
    begun: dict[str, Line] = {}
    for line in lines:
        if line.kind != "hardware":
            continue
        if line["pid"] == told["newer"]:
            begun.setdefault(line["resource"], line)
        elif line["pid"] == told["older"] and (first := begun.get(line["resource"])):
            if line.at - first.at > GRACE_S + stalled_s(lines, first.at, line.at):
                what = f"{line['resource']} was touched by a manager that a newer one had replaced"
                yield Broken.by(6, what, first, line, told)
