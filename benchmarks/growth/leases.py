"""A beat, by how many leases are alive."""

import contextlib
from collections.abc import Iterator, Mapping

from benchmarks.expiry.leases import Leases
from benchmarks.frame import growing, h2load, services
from benchmarks.frame.case import H2LOAD, Effort, Readings, Side, reading
from benchmarks.frame.growing import Growth, logarithmic
from benchmarks.frame.stage import Stage
from hwprovisioner.v1.heartbeat_service_pb2 import HeartbeatRequest

GROWTH = Growth(
    "leases", "processor time of a beat", (100, 1_000, 10_000, 100_000), logarithmic(0.05)
)
_IN_FLIGHT = 128
_PATH = "/hwprovisioner.v1.HeartbeatService/Heartbeat"


@contextlib.contextmanager
def _open(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    request = HeartbeatRequest(allocation_id="bench0", token="bench")  # noqa: S106
    body = h2load.body(stage.folder, "beat", [request])

    def side_of(size: int) -> Side:
        redis = stage.redis(f"redis-{size}")
        Leases(redis.unix_url).live(size)
        address = services.heartbeat(stage, redis, name=f"heartbeat-{size}")
        port = int(address.rpartition(":")[2])
        ours = (f"redis-{size}", f"heartbeat-{size}")

        def beats() -> Readings:
            before = growing.used_s(stage, ours)
            found = h2load.run(
                stage, port, _PATH, body, in_flight=_IN_FLIGHT, seconds=effort.seconds
            )
            used = growing.used_s(stage, ours) - before
            return {GROWTH.reading(size): reading(used / found.answers * 1e6, "µs")}

        return beats

    yield {f"{size:,}": side_of(size) for size in GROWTH.sizes}


CASES = (growing.case("growth-leases", GROWTH, _open, needs=(H2LOAD,)),)
