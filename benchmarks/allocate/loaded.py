"""Fifty clients that ask, give back and ask again: how much a lab does, next to labgrid's.

What is judged has a real resource manager, with its journal on the disk, while labgrid's exporters
are simulated. With simulated managers as well it is told beside.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.frame import growing, services
from benchmarks.frame.case import Case, Effort, Readings, Side, Wanted, reading
from benchmarks.frame.percentiles import percentiles
from benchmarks.frame.stage import Stage
from benchmarks.frame.talking import Talker, ask_all
from benchmarks.peers.environment import LABGRID
from benchmarks.peers.labgrid import lab as labgrid

CLIENTS = 50
PROCESSES = 2
"""The clients are spread over so many."""
_WARM_UP_S = 0.5


@dataclass(frozen=True)
class Loop:
    """What a closed loop of clients came to."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cost_ms: float
    """Processor time of all that serves, for each allocation."""


@dataclass(frozen=True)
class Loaded:
    """Clients of a lab, and the names of the processes that serve them."""

    stage: Stage
    clients: Sequence[Talker]
    services: Sequence[str]

    def loop(self, seconds: float) -> Loop:
        """Have all clients go round for some time, and put together what they say."""
        before = growing.used_s(self.stage, self.services)
        said: list[dict[str, Any]] = ask_all(self.clients, "loop", seconds=seconds)
        used_s = growing.used_s(self.stage, self.services) - before
        each = [ms for answer in said for ms in answer["each_ms"]]
        # Each ends after its last turn; those that are slower go on beside fewer.
        rate = sum(len(answer["each_ms"]) / answer["seconds"] for answer in said)
        took = percentiles(each)
        return Loop(rate, took.p50, took.p99, used_s / len(each) * 1000)


def lab(stage: Stage, name: str, resources: int, sessions: int = 0) -> Loaded:
    """Run a lab of its own with so many resources free, and its clients.

    Args:
        stage: where.
        name: put behind the names of its processes.
        resources: free ones.
        sessions: so many others have a machine more each, and their streams open, and do nothing.
    """
    address = services.allocate(stage, stage.redis(f"redis-{name}"), f"allocate-{name}")
    services.manager(stage, address, resources + sessions, f"manager-{name}")
    if sessions:
        _clients(stage, f"sessions-{name}", address, sessions).ask("hold")
    return _loaded(stage, name, address, f"manager-{name}")


def simulated(stage: Stage, name: str, resources: int) -> Loaded:
    """Run a lab whose managers are simulated as labgrid's exporters are: they answer at once."""
    address = services.allocate(stage, stage.redis(f"redis-{name}"), f"allocate-{name}")
    port = address.rpartition(":")[2]
    managers = stage.talker(f"managers-{name}", "benchmarks.storm.load", str(resources), "0", port)
    managers.ask("begin")
    return _loaded(stage, name, address)


def _loaded(stage: Stage, name: str, address: str, *managers: str) -> Loaded:
    each = CLIENTS // PROCESSES
    clients = [_clients(stage, f"clients-{name}-{n}", address, each) for n in range(PROCESSES)]
    return Loaded(stage, clients, [f"redis-{name}", f"allocate-{name}", *managers])


def _clients(stage: Stage, name: str, address: str, count: int) -> Talker:
    return stage.talker(name, "benchmarks.allocate.clients", name, address, str(count))


@contextlib.contextmanager
def _open(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    sides: dict[str, Side] = {"hwp": _looping(lab(stage, "plain", 100), effort, _plain)}
    if not effort.quick:
        sides |= _further(stage, effort)
    yield sides


def _further(stage: Stage, effort: Effort) -> Mapping[str, Side]:
    sides = {
        "hwp, large": _looping(lab(stage, "large", 1_000), effort, _large),
        "hwp, simulated": _looping(simulated(stage, "simulated", 100), effort, _simulated),
        "hwp, sessions": _looping(lab(stage, "sessions", 100, sessions=500), effort, _beside),
    }
    if not LABGRID.missing():
        shipped = labgrid.loaded(stage, 100, CLIENTS, processes=PROCESSES)
        sides["labgrid"] = _looping(Loaded(stage, shipped, ["labgrid"]), effort, _as_shipped)
        plain = labgrid.loaded(stage, 100, CLIENTS, processes=PROCESSES, is_debug=False)
        no_debug = Loaded(stage, plain, ["labgrid-no-debug"])
        sides["labgrid, debug off"] = _looping(no_debug, effort, _no_debug)
    return sides


def _looping(loaded: Loaded, effort: Effort, told: Callable[[Loop], Readings]) -> Side:
    loaded.loop(_WARM_UP_S)
    return lambda: told(loaded.loop(effort.seconds))


def _plain(found: Loop) -> Readings:
    return {
        "allocations": reading(found.per_second, "/s"),
        "p50": reading(found.p50_ms, "ms"),
        "p99": reading(found.p99_ms, "ms"),
        "processor time": reading(found.cost_ms, "ms"),
    }


def _large(found: Loop) -> Readings:
    return {"allocations of a large lab": reading(found.per_second, "/s")}


def _beside(found: Loop) -> Readings:
    return {"allocations beside sessions": reading(found.per_second, "/s")}


def _simulated(found: Loop) -> Readings:
    return {
        "allocations with simulated managers": reading(found.per_second, "/s"),
        "processor time with simulated managers": reading(found.cost_ms, "ms"),
    }


def _as_shipped(found: Loop) -> Readings:
    return {
        "allocations of labgrid": reading(found.per_second, "/s"),
        "p50 of labgrid": reading(found.p50_ms, "ms"),
        "processor time of labgrid": reading(found.cost_ms, "ms"),
    }


def _no_debug(found: Loop) -> Readings:
    return {
        "allocations of labgrid, debug off": reading(found.per_second, "/s"),
        "p50 of labgrid, debug off": reading(found.p50_ms, "ms"),
        "processor time of labgrid, debug off": reading(found.cost_ms, "ms"),
    }


CASES = (
    Case(
        name="allocate-loaded",
        what="50 clients on 100 resources, closed loop",
        wanted=(
            Wanted(
                name="allocations / labgrid's, as shipped",
                of="allocations",
                to="allocations of labgrid",
                at_least=20,
                words="at least 20 x labgrid's allocations/s as shipped",
                needs=(LABGRID,),
                full=True,
            ),
            Wanted(
                name="allocations / labgrid's, its debug mode off",
                of="allocations",
                to="allocations of labgrid, debug off",
                at_least=8,
                words="8 x with its debug mode off",
                needs=(LABGRID,),
                full=True,
            ),
            Wanted(
                name="with simulated managers / labgrid's, as shipped",
                of="allocations with simulated managers",
                to="allocations of labgrid",
                needs=(LABGRID,),
                full=True,
            ),
            Wanted(
                name="with simulated managers / labgrid's, its debug mode off",
                of="allocations with simulated managers",
                to="allocations of labgrid, debug off",
                needs=(LABGRID,),
                full=True,
            ),
            Wanted(
                name="p99 / labgrid's p50, as shipped",
                of="p99",
                to="p50 of labgrid",
                at_most=1,
                words="our p99 below labgrid's p50",
                needs=(LABGRID,),
                full=True,
            ),
            Wanted(
                name="p99 / labgrid's p50, its debug mode off",
                of="p99",
                to="p50 of labgrid, debug off",
                at_most=1,
                words="our p99 below labgrid's p50",
                needs=(LABGRID,),
                full=True,
            ),
            Wanted(
                name="with 1,000 resources / with 100",
                of="allocations of a large lab",
                to="allocations",
                full=True,
                at_least=0.8,
                words="with 1,000 resources within 20 % of that",
            ),
            Wanted(
                name="with 500 idle sessions beside / without",
                of="allocations beside sessions",
                to="allocations",
                full=True,
                at_least=0.8,
                words="with 500 idle sessions beside within 20 % of that",
            ),
            Wanted(name="allocations", of="allocations"),
            Wanted(
                name="allocations with simulated managers",
                of="allocations with simulated managers",
                full=True,
            ),
            Wanted(name="processor time of an allocation", of="processor time"),
            *(
                Wanted(
                    name=f"processor time of an allocation {how}",
                    of=f"processor time {how}",
                    needs=needs,
                    full=True,
                )
                for how, needs in (
                    ("with simulated managers", ()),
                    ("of labgrid", (LABGRID,)),
                    ("of labgrid, debug off", (LABGRID,)),
                )
            ),
            Wanted(name="demand to READY, p50", of="p50"),
            Wanted(name="demand to READY, p99", of="p99"),
            Wanted(
                name="allocations of labgrid, as shipped",
                of="allocations of labgrid",
                needs=(LABGRID,),
                full=True,
            ),
            Wanted(
                name="allocations of labgrid, its debug mode off",
                of="allocations of labgrid, debug off",
                needs=(LABGRID,),
                full=True,
            ),
        ),
        open=_open,
    ),
)
