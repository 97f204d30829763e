"""A hand-over, by how many wait for the same machine."""

import contextlib
from collections.abc import Iterator, Mapping

from benchmarks.frame import growing, services
from benchmarks.frame.case import Effort, Readings, Side, reading
from benchmarks.frame.growing import CONSTANT, Growth
from benchmarks.frame.stage import Stage

GROWTH = Growth("waiting", "processor time of a hand-over", (10, 100, 1_000, 5_000), CONSTANT)
_HOLD_S = 0.02


@contextlib.contextmanager
def _open(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    def side_of(size: int) -> Side:
        lab = services.allocate(stage, stage.redis(f"redis-{size}"), f"allocate-{size}")
        services.manager(stage, lab, resources=1, name=f"manager-{size}")
        waiters = stage.talker(
            f"waiters-{size}", "benchmarks.allocate.waiters", "user", lab, str(size)
        )
        waiters.ask("queue", hold_s=_HOLD_S)
        ours = (f"redis-{size}", f"allocate-{size}")

        def hand_overs() -> Readings:
            before = growing.used_s(stage, ours)
            said = waiters.ask("turns", seconds=effort.seconds)
            used = growing.used_s(stage, ours) - before
            return {GROWTH.reading(size): reading(used / len(said["released"]) * 1000, "ms")}

        return hand_overs

    yield {f"{size:,}": side_of(size) for size in GROWTH.sizes}


CASES = (growing.case("growth-waiting", GROWTH, _open),)
