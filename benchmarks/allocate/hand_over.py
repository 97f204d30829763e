"""One machine that everybody wants: how long from a release until the next one can use it."""

import bisect
import contextlib
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.frame import floor, floor_client, services
from benchmarks.frame.case import Case, Effort, Reading, Readings, Side, Wanted, reading
from benchmarks.frame.percentiles import percentiles
from benchmarks.frame.stage import Stage
from benchmarks.frame.talking import ask_all

PROCESSES = 2
_HOLD_S = 0.05
"""The machine is kept for so long: what the last hand-over left to tell is done by then."""
_EMPTY_CALLS = 1_500


def gaps_ms(released: Sequence[float], ready: Sequence[float]) -> list[float]:
    """Return the time from each release to the next one that was ready, in ms."""
    when = sorted(ready)
    places = [bisect.bisect(when, moment) for moment in sorted(released)]
    found = zip(places, sorted(released), strict=True)
    return [(when[place] - moment) * 1000 for place, moment in found if place < len(when)]


@contextlib.contextmanager
def _open(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    waiting = effort.pick(full=1_000, quick=200)
    lab = services.allocate(stage, stage.redis())
    services.manager(stage, lab, resources=1)
    empty = floor_client.start(stage, floor.start(stage))
    empty.ask("measure", times=_EMPTY_CALLS)
    each = str(waiting // PROCESSES)
    names = [f"waiters-{number}" for number in range(PROCESSES)]
    waiters = [stage.talker(n, "benchmarks.allocate.waiters", n, lab, each) for n in names]
    ask_all(waiters, "queue", hold_s=_HOLD_S)

    def hand_over() -> Readings:
        said = ask_all(waiters, "turns", seconds=max(2.0, effort.seconds))
        moments = {what: [at for each in said for at in each[what]] for what in said[0]}
        gaps = gaps_ms(moments["released"], moments["ready"])
        waited = percentiles(gaps)
        return {
            "release to ready, p50": reading(waited.p50, "ms"),
            "release to ready, p99": reading(waited.p99, "ms"),
        }

    def nothing() -> Readings:
        return {"empty call": Reading(*empty.ask("measure", times=_EMPTY_CALLS))}

    yield {"hand-over": hand_over, "floor": nothing}


CASES = (
    Case(
        name="allocate-hand-over",
        what="from a release to the next one's READY while 1,000 wait (quick: 200)",
        wanted=(
            Wanted(
                name="release to the next READY, p50 / empty call",
                of="release to ready, p50",
                to="empty call",
                at_most=12,
                words="p50 at most 12 x the empty round trip, while 1,000 wait",
            ),
            Wanted(name="release to the next READY, p50", of="release to ready, p50"),
            Wanted(name="release to the next READY, p99", of="release to ready, p99"),
            Wanted(name="empty call", of="empty call"),
        ),
        open=_open,
    ),
)
