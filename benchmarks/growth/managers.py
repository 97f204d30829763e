"""An allocation from demand to release, by how many managers have a stream, each with a machine."""

import contextlib
from collections.abc import Iterator, Mapping

from benchmarks.frame import growing, services
from benchmarks.frame.case import Effort, Readings, Side, reading
from benchmarks.frame.growing import CONSTANT, Growth
from benchmarks.frame.stage import Stage

GROWTH = Growth("managers", "processor time of an allocation", (1, 10, 100, 1_000), CONSTANT)


@contextlib.contextmanager
def _open(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    def side_of(size: int) -> Side:
        lab = services.allocate(stage, stage.redis(f"redis-{size}"), f"allocate-{size}")
        port = lab.rpartition(":")[2]
        managers = stage.talker(f"managers-{size}", "benchmarks.storm.load", str(size), "0", port)
        managers.ask("begin")
        client = stage.talker(f"client-{size}", "benchmarks.allocate.clients", "user", lab, "1")
        client.ask("loop", seconds=0.5)
        ours = (f"redis-{size}", f"allocate-{size}")

        def allocations() -> Readings:
            before = growing.used_s(stage, ours)
            said = client.ask("loop", seconds=effort.seconds)
            used = growing.used_s(stage, ours) - before
            return {GROWTH.reading(size): reading(used / len(said["each_ms"]) * 1000, "ms")}

        return allocations

    yield {f"{size:,}": side_of(size) for size in GROWTH.sizes}


CASES = (growing.case("growth-managers", GROWTH, _open),)
