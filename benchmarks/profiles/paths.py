"""The paths that are profiled: what runs, which process is looked at, and what it has to do."""

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from benchmarks.allocate import loaded
from benchmarks.expiry.leases import Leases
from benchmarks.frame import h2load, services
from benchmarks.frame.case import H2LOAD, Need
from benchmarks.frame.stage import Stage
from benchmarks.frame.talking import ask_all
from benchmarks.streams.open_streams import watching
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.heartbeat_service_pb2 import HeartbeatRequest

_ALLOCATE = pb.DESCRIPTOR.services_by_name["AllocateService"].full_name
_WATCHERS = 1_000
_END_EACH_MS = 5

Work = Callable[[float], None]
"""Has it work for so many seconds."""


@dataclass(frozen=True)
class Path:
    """Something that a service does again and again."""

    name: str
    what: str
    process: str
    open: Callable[[Stage], AbstractContextManager[Work]]
    needs: tuple[Need, ...] = ()


@contextlib.contextmanager
def _beats(stage: Stage) -> Iterator[Work]:
    redis = stage.redis()
    Leases(redis.unix_url).live(10_000)
    port = int(services.heartbeat(stage, redis).rpartition(":")[2])
    request = HeartbeatRequest(allocation_id="bench0", token="bench")  # noqa: S106
    body = h2load.body(stage.folder, "beat", [request])
    path = "/hwprovisioner.v1.HeartbeatService/Heartbeat"
    yield lambda s: void(h2load.run(stage, port, path, body, in_flight=128, seconds=s))


@contextlib.contextmanager
def _allocations(stage: Stage) -> Iterator[Work]:
    lab = loaded.lab(stage, "lab", 100)
    lab.loop(1.0)
    yield lambda s: void(lab.loop(s))


@contextlib.contextmanager
def _hand_overs(stage: Stage) -> Iterator[Work]:
    lab = services.allocate(stage, stage.redis(), "allocate-lab")
    services.manager(stage, lab, resources=1, name="manager-lab")
    waiters = stage.talker("waiters", "benchmarks.allocate.waiters", "user", lab, "1000")
    ask_all([waiters], "queue", hold_s=0.0)
    yield lambda s: void(waiters.ask("turns", seconds=s))


@contextlib.contextmanager
def _ends(stage: Stage) -> Iterator[Work]:
    redis = stage.redis()
    services.manager(stage, services.allocate(stage, redis), resources=1)
    leases = Leases(redis.unix_url)
    leases.live(10_000)
    yield lambda s: void(leases.lateness_ms(range(1_500, int(s * 1000), _END_EACH_MS)))


@contextlib.contextmanager
def _fan_out(stage: Stage) -> Iterator[Work]:
    lab = services.allocate(stage, stage.redis())
    services.manager(stage, lab, resources=1)
    watchers = stage.talker("watchers", "benchmarks.streams.peers", lab)
    watchers.ask("watchers", count=_WATCHERS, **watching(lab))
    drain = pb.DrainResourceRequest(name="manager-0").SerializeToString().hex()
    enable = pb.EnableResourceRequest(name="manager-0").SerializeToString().hex()

    def tell(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for name, request in (("DrainResource", drain), ("EnableResource", enable)):
                watchers.ask("told", method=f"/{_ALLOCATE}/{name}", request=request)

    yield tell


def void(_: object) -> None:
    """Do nothing with what came of it."""


PATHS = (
    Path("heartbeat", "Heartbeat, 128 beats in flight", "heartbeat", _beats, (H2LOAD,)),
    Path("allocate", "Allocate, 50 clients on 100 machines", "allocate-lab", _allocations),
    Path(
        "manager", "Resource manager, 50 clients on its 100 machines", "manager-lab", _allocations
    ),
    Path("expiry", "Allocate, 200 of 10,000 leases end in a second", "allocate", _ends),
    Path("fan-out", "Allocate, 1,000 watch and are told", "allocate", _fan_out),
    Path("hand-over", "Allocate, 1,000 wait for one machine", "allocate-lab", _hand_overs),
)
