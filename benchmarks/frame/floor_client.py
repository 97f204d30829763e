"""Makes empty calls, one at a time: what a round trip costs at least, seen from one client."""

import statistics
import sys
import time
from typing import Any

import grpc.aio
import uvloop

from benchmarks.frame import floor
from benchmarks.frame.case import Reading, reading
from benchmarks.frame.stage import Stage
from benchmarks.frame.talking import Talker, listen

_MESSAGE = b"m" * 200


def start(stage: Stage, address: str, name: str = "floor-client") -> Talker:
    """Run it on a stage; `measure` takes how many times, and returns a reading: ms."""
    return stage.talker(name, "benchmarks.frame.floor_client", address)


async def _main() -> None:
    async with grpc.aio.insecure_channel(sys.argv[1]) as channel:
        empty: Any = channel.unary_unary(floor.EMPTY)

        async def measure(times: int) -> Reading:
            each = []
            for _ in range(times):
                began = time.perf_counter()
                await empty(_MESSAGE)
                each.append((time.perf_counter() - began) * 1000)
            return reading(statistics.median(each), "ms")

        await listen({"measure": measure})


if __name__ == "__main__":
    uvloop.run(_main())
