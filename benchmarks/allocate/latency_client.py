"""One holder in an idle lab: each time everything it is compared to, then what it wants.

All of it right beside each other, so that all see the same machine at the same moment.
"""

import statistics
import sys
import time
from collections.abc import Awaitable
from typing import Any

import grpc.aio
import uvloop

from benchmarks.allocate.asking import ask
from benchmarks.frame import floor
from benchmarks.frame.case import Reading, reading
from benchmarks.frame.talking import listen
from hwprovisioner.state.link import Link
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import allocate_service_pb2_grpc as stubs

_MESSAGE = b"m" * 200
_VALUE = "v" * 200


class Client:
    """Connections to everything that is measured."""

    def __init__(self, lab: grpc.aio.Channel, nothing: grpc.aio.Channel, redis: Link) -> None:
        self._lab: Any = stubs.AllocateServiceStub(lab)
        self._empty: Any = nothing.unary_unary(floor.EMPTY)
        self._open: Any = nothing.unary_stream(floor.OPEN)
        self._ping: Any = nothing.stream_stream(floor.PING)()
        self._redis = redis

    async def measure(self, times: int) -> dict[str, Reading]:
        """Do everything so many times; returns medians, in ms."""
        each: dict[str, list[float]] = {}
        for _ in range(times):
            for name, seconds in (await self._once()).items():
                each.setdefault(name, []).append(seconds * 1000)
        return {
            "empty call": reading(statistics.median(each["empty"]), "ms"),
            "stream ping-pong": reading(statistics.median(each["ping"]), "ms"),
            "stream opened": reading(statistics.median(each["open"]), "ms"),
            "Redis write": reading(statistics.median(each["redis"]), "ms"),
            "demand to granted": reading(statistics.median(each["granted"]), "ms"),
            "demand to ready": reading(statistics.median(each["ready"]), "ms"),
            "release to cleaned": reading(statistics.median(each["cleaned"]), "ms"),
        }

    async def _once(self) -> dict[str, float]:
        found = {
            "empty": await _timed(self._empty(_MESSAGE)),
            "ping": await _timed(self._ping_pong()),
            "open": await _timed(self._opened()),
            "redis": await _timed(self._redis.call("SET", "bench", _VALUE)),
        }
        asked = ask(self._lab)
        await asked.until_ready()
        found["granted"] = asked.granted - asked.began
        found["ready"] = asked.ready - asked.began
        # Watched from here on only: telling each change would slow what was measured before.
        changes = self._lab.WatchLab(pb.WatchLabRequest(after_revision=asked.revision))
        found["cleaned"] = await _timed(self._cleaned(asked, changes))
        changes.cancel()
        return found

    async def _ping_pong(self) -> None:
        await self._ping.write(_MESSAGE)
        await self._ping.read()

    async def _opened(self) -> None:
        call = self._open(_MESSAGE)
        await call.read()
        call.cancel()

    async def _cleaned(self, asked: Any, changes: Any) -> None:  # noqa: ANN401
        await asked.give_back(self._lab)
        async for change in changes:
            if change.event == "cleaned":
                return


async def _timed(doing: Awaitable[object]) -> float:
    start = time.perf_counter()
    await doing
    return time.perf_counter() - start


async def main() -> None:
    """Do what is said on standard input, at: Allocate, floor, URL of a Redis."""
    lab, nothing, redis = sys.argv[1:]
    async with (
        grpc.aio.insecure_channel(lab) as to_lab,
        grpc.aio.insecure_channel(nothing) as to_nothing,
        Link(redis) as link,
    ):
        await listen({"measure": Client(to_lab, to_nothing, link).measure})


if __name__ == "__main__":
    uvloop.run(main())
