"""Cases: what open streams cost while nothing happens, and how soon all are told something."""

import contextlib
import itertools
import statistics
import time
from collections.abc import Iterator, Mapping

import grpc

from benchmarks.frame import services
from benchmarks.frame.case import Case, Effort, Readings, Side, Wanted, reading
from benchmarks.frame.machine import resident_kib
from benchmarks.frame.stage import Stage
from benchmarks.streams import empty
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import allocate_service_pb2_grpc as stubs

_ALLOCATE = f"/{pb.DESCRIPTOR.services_by_name['AllocateService'].full_name}/"
_WARM_UP = 50
_SETTLE_S = 1.0
_MANAGERS, _WATCHERS = 1_000, 2_000
_BURST, _AT_ONCE = 20_000, 5_000
_TOLD = 1_000
_RESOURCE = "manager-0"
"""What `services.manager` lends first."""


@contextlib.contextmanager
def _idle(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    rounds = itertools.count()

    def streams() -> Readings:
        # An Allocate of its own each time: memory that was used before is used again.
        number = next(rounds)
        redis = stage.redis(f"redis-{number}")
        lab = services.allocate(stage, redis, f"allocate-{number}")
        pid = stage.named[f"allocate-{number}"]
        managers = stage.talker(f"managers-{number}", "benchmarks.streams.peers", lab)
        watchers = stage.talker(f"watchers-{number}", "benchmarks.streams.peers", lab)
        managers.ask("managers", count=_WARM_UP)
        before = _kib(pid)
        managers.ask("managers", count=_MANAGERS)
        # Not earlier, or they would be told of each manager.
        with_managers = _kib(pid)
        watchers.ask("watchers", count=_WATCHERS, **watching(lab))
        after = _kib(pid)
        return {
            "each of them": reading((after - before) / (_MANAGERS + _WATCHERS), "KiB"),
            "each manager": reading((with_managers - before) / _MANAGERS, "KiB"),
            "each watcher": reading((after - with_managers) / _WATCHERS, "KiB"),
        }

    yield {"idle": streams}


@contextlib.contextmanager
def _burst(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    lab = services.allocate(stage, stage.redis())
    services.manager(stage, lab, resources=1)
    peers = [
        stage.talker(f"watchers-{n}", "benchmarks.streams.peers", lab)
        for n in range(_BURST // _AT_ONCE)
    ]
    watch = watching(lab)

    def burst() -> Readings:
        began = time.monotonic()
        for each in peers:
            each.tell("watchers", count=_AT_ONCE, **watch)
        answered = sum(each.answer() for each in peers)
        passed = time.monotonic() - began
        for each in peers:
            each.ask("close")
        return {"answered": reading(answered, ""), "until all were": reading(passed, "s")}

    yield {"burst": burst}


@contextlib.contextmanager
def _fan_out(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    lab = services.allocate(stage, stage.redis())
    services.manager(stage, lab, resources=1)
    nothing = empty.start(stage)
    watchers = stage.talker("watchers", "benchmarks.streams.peers", lab)
    listeners = stage.talker("listeners", "benchmarks.streams.peers", nothing)
    watchers.ask("watchers", count=_TOLD, **watching(lab))
    listeners.ask("watchers", count=_TOLD, method=empty.WATCH, request="00")
    times = effort.pick(full=10, quick=4)
    drain = pb.DrainResourceRequest(name=_RESOURCE).SerializeToString().hex()
    enable = pb.EnableResourceRequest(name=_RESOURCE).SerializeToString().hex()
    events = itertools.cycle([("DrainResource", drain), ("EnableResource", enable)])
    size = 0

    def event() -> Readings:
        nonlocal size
        found = []
        for method, request in itertools.islice(events, times):
            said = watchers.ask("told", method=_ALLOCATE + method, request=request)
            found.append(said["ms"])
            size = said["bytes"]
        return {"an event": reading(statistics.median(found), "ms")}

    def message() -> Readings:
        told = {"method": empty.TELL, "request": "00" * size}
        found = [listeners.ask("told", **told)["ms"] for _ in range(times)]
        return {"a message": reading(statistics.median(found), "ms")}

    event()  # how long its messages are
    yield {"WatchLab": event, "nothing but streams": message}


def watching(lab: str) -> dict[str, str]:
    """Return how to watch a lab and be told its last change at once."""
    with grpc.insecure_channel(lab) as channel:
        stub = stubs.AllocateServiceStub(channel)
        revision = stub.ListManagers(pb.ListManagersRequest()).revision
    request = pb.WatchLabRequest(after_revision=revision - 1).SerializeToString().hex()
    return {"method": f"{_ALLOCATE}WatchLab", "request": request}


def _kib(pid: int) -> int:
    """Return what a process has in memory, once it has come to rest."""
    time.sleep(_SETTLE_S)
    return resident_kib(pid)


CASES = (
    Case(
        name="streams-idle",
        what=f"{_MANAGERS:,} managers, then {_WATCHERS:,} who watch, 100 on a connection",
        wanted=(
            Wanted(
                name="memory of an idle stream",
                of="each of them",
                at_most=35,
                words="at most 35 KiB per idle stream, 1,000 managers and 2,000 watchers",
            ),
            Wanted(name="that of a manager, with its record", of="each manager"),
            Wanted(name="that of a watcher", of="each watcher"),
        ),
        open=_idle,
        full=True,
    ),
    Case(
        name="streams-burst",
        what=f"{_BURST:,} streams opened at once in one process",
        wanted=(
            Wanted(
                name="streams that are open and answered",
                of="answered",
                at_least=_BURST,
                words="20,000 streams open in one process and all answered",
            ),
            Wanted(name="until all are", of="until all were"),
        ),
        open=_burst,
        full=True,
    ),
    Case(
        name="streams-fan-out",
        what=f"one event reaches {_TOLD:,} who watch, in one process",
        wanted=(
            Wanted(
                name="an event to all / an empty message to all",
                of="an event",
                to="a message",
                at_most=2,
                words="at most 2 x the time an empty fan-out takes",
            ),
            Wanted(name="an event to all", of="an event"),
        ),
        open=_fan_out,
    ),
)
