"""A lab with live leases, the service on it, and load for both of its calls."""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.expiry.leases import Leases
from benchmarks.frame import growing, h2load, services
from benchmarks.frame.case import Effort
from benchmarks.frame.stage import RedisServer, Stage
from hwprovisioner.v1.heartbeat_service_pb2 import BatchHeartbeatRequest, HeartbeatRequest

LEASES = 10_000
IN_A_BATCH = 1000
_BEAT = "/hwprovisioner.v1.HeartbeatService/Heartbeat"
_BATCH = "/hwprovisioner.v1.HeartbeatService/BatchHeartbeat"
_MEMORY = Path("/dev/shm")  # noqa: S108


@dataclass(frozen=True)
class Load:
    """What came of some load.

    Attributes:
        per_second: leases kept alive.
        redis: how much of a core Redis used.
    """

    per_second: float
    redis: float


class Beats:
    """Beats of one service, each of which must be in Redis."""

    def __init__(self, stage: Stage, redis: RedisServer, name: str, *arguments: str) -> None:
        """Run the service on a Redis with live leases; `name` is that of both."""
        self._stage, self._redis, self._redis_name = stage, redis, f"redis{name}"
        stage.named[self._redis_name] = redis.pid
        address = services.heartbeat(stage, redis, *arguments, name=f"heartbeat{name}")
        self._port = int(address.rpartition(":")[2])
        beats = [_beat(n) for n in range(IN_A_BATCH)]
        self._one = h2load.body(stage.folder, "beat", beats[:1])
        self._many = h2load.body(stage.folder, "batch", [BatchHeartbeatRequest(beats=beats)])

    def one_by_one(self, in_flight: int, seconds: float, connections: int = 1) -> Load:
        """Keep a lease alive by a call for each beat."""
        return self._run(_BEAT, self._one, 1, in_flight, seconds, connections)

    def together(self, in_flight: int, seconds: float) -> Load:
        """Keep leases alive by calls for 1,000 of them."""
        return self._run(_BATCH, self._many, IN_A_BATCH, in_flight, seconds, 1)

    def _run(
        self, path: str, body: Path, each: int, in_flight: int, seconds: float, connections: int
    ) -> Load:
        before, used_s = self._extended(), growing.used_s(self._stage, [self._redis_name])
        found = h2load.run(
            *(self._stage, self._port, path, body),
            in_flight=in_flight,
            seconds=seconds,
            connections=connections,
        )
        used_s = growing.used_s(self._stage, [self._redis_name]) - used_s
        more = self._extended() - before - found.answers * each
        if not 0 <= more <= found.in_flight * each:
            raise RuntimeError(f"{found.answers} calls answered, {more} more beats in Redis")
        return Load(found.per_second * each, used_s / seconds)

    def _extended(self) -> int:
        """Return how often Redis has moved the alarm of a lease."""
        reply = self._redis.command("INFO commandstats").decode()
        calls = re.search(r"cmdstat_pexpireat:calls=(\d+)", reply)
        return int(calls[1]) if calls else 0


@contextlib.contextmanager
def redis_in_memory(stage: Stage) -> Iterator[RedisServer]:
    """Give a Redis that syncs its file with each write, on a disk that takes no time."""
    before, tempfile.tempdir = tempfile.tempdir, str(_MEMORY) if _MEMORY.is_dir() else None
    try:
        redis = stage.redis("redis in memory")
    finally:
        tempfile.tempdir = before
    yield redis


def fill(redis: RedisServer, effort: Effort) -> RedisServer:
    """Have leases in it that live for an hour."""
    Leases(redis.unix_url).live(effort.pick(full=LEASES, quick=IN_A_BATCH))
    return redis


def empty_calls(
    stage: Stage, port: int, path: str, in_flight: int, seconds: float, connections: int = 1
) -> float:
    """Make calls with the body of a beat that do nothing; returns calls a second."""
    body = h2load.body(stage.folder, "beat", [_beat(0)])
    found = h2load.run(
        *(stage, port, path, body), in_flight=in_flight, seconds=seconds, connections=connections
    )
    return found.per_second


def _beat(n: int) -> HeartbeatRequest:
    return HeartbeatRequest(allocation_id=f"bench{n}", token="bench")  # noqa: S106
