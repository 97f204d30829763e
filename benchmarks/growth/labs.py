"""An allocation from demand to release, by how many labs share a Redis."""

import contextlib
from collections.abc import Iterator, Mapping

from benchmarks.frame import growing, services
from benchmarks.frame.case import Effort, Readings, Side, reading
from benchmarks.frame.growing import CONSTANT, Growth
from benchmarks.frame.stage import Stage

GROWTH = Growth("labs", "processor time of an allocation in one of them", (1, 2, 4, 8), CONSTANT)


@contextlib.contextmanager
def _open(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    def side_of(size: int) -> Side:
        redis = stage.redis(f"redis-{size}")
        labs = [
            services.allocate(stage, redis, f"allocate-{size}-{n}", {"HWP_LAB": f"lab-{n}"})
            for n in range(size)
        ]
        for n, lab in enumerate(labs):
            services.manager(stage, lab, resources=10, name=f"manager-{size}-{n}")
        client = stage.talker(f"client-{size}", "benchmarks.allocate.clients", "user", labs[0], "1")
        client.ask("loop", seconds=0.5)
        # All of them: what the others do meanwhile is what one more lab costs.
        ours = (f"redis-{size}", *(f"allocate-{size}-{n}" for n in range(size)))

        def allocations() -> Readings:
            before = growing.used_s(stage, ours)
            said = client.ask("loop", seconds=effort.seconds)
            used = growing.used_s(stage, ours) - before
            return {GROWTH.reading(size): reading(used / len(said["each_ms"]) * 1000, "ms")}

        return allocations

    yield {f"{size:,}": side_of(size) for size in GROWTH.sizes}


CASES = (growing.case("growth-labs", GROWTH, _open),)
