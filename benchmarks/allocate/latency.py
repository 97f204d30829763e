"""An idle lab: how long from a demand to its hardware."""

import contextlib
import statistics
from collections.abc import Iterator, Mapping

from benchmarks.frame import floor, services
from benchmarks.frame.case import Case, Effort, Reading, Readings, Side, Wanted, reading
from benchmarks.frame.stage import Stage
from benchmarks.peers.environment import LABGRID
from benchmarks.peers.labgrid import lab as labgrid

RESOURCES = 10
_ROUND_TRIPS = 1
"""Redis is needed once from a demand to its grant: what queues and what grants it go together."""


@contextlib.contextmanager
def _open(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    redis = stage.redis()
    lab = services.allocate(stage, redis)
    services.manager(stage, lab, resources=RESOURCES)
    # A Redis of its own, so that what the lab writes is not in the way.
    beside = stage.redis("redis-beside")
    where = (lab, floor.start(stage), beside.unix_url)
    client = stage.talker("client", "benchmarks.allocate.latency_client", *where)
    times = effort.pick(full=300, quick=40)
    client.ask("measure", times=times // 2)

    def one_holder() -> Readings:
        said = client.ask("measure", times=times)
        found = {name: Reading(*each) for name, each in said.items()}
        needed = found["stream ping-pong"].value + _ROUND_TRIPS * found["Redis write"].value
        found["ping-pong and Redis"] = reading(needed, "ms")
        opened = found["stream opened"].value + _ROUND_TRIPS * found["Redis write"].value
        found["stream opened and Redis"] = reading(opened, "ms")
        return found

    sides: dict[str, Side] = {"one holder": one_holder}
    if not LABGRID.missing():
        [peer] = labgrid.loaded(stage, RESOURCES, clients=1)
        few = effort.pick(full=100, quick=20)
        peer.ask("some", times=few // 2)

        def of_labgrid() -> Readings:
            each = peer.ask("some", times=few)
            return {"reserve to acquired": reading(statistics.median(each), "ms")}

        sides["labgrid"] = of_labgrid
    yield sides


CASES = (
    Case(
        name="allocate-idle",
        what="one holder in an idle lab, 10 machines, nothing to prepare",
        wanted=(
            Wanted(
                name="demand to granted / stream ping-pong and a Redis write",
                of="demand to granted",
                to="ping-pong and Redis",
                at_most=1.5,
                words="at most 1.5 x (stream ping-pong + Redis round trips it needs)",
            ),
            Wanted(
                name="demand to granted / stream opened and a Redis write",
                of="demand to granted",
                to="stream opened and Redis",
            ),
            Wanted(
                name="demand to READY / empty call",
                of="demand to ready",
                to="empty call",
                at_most=10,
                words="at most 10 x the empty unary round trip",
            ),
            Wanted(
                name="demand to READY / labgrid's reserve to acquired",
                of="demand to ready",
                to="reserve to acquired",
                at_most=1,
                words="less than labgrid's reserve-to-acquired in the same run",
                needs=(LABGRID,),
            ),
            Wanted(name="empty call", of="empty call"),
            Wanted(name="stream ping-pong", of="stream ping-pong"),
            Wanted(name="a stream opened and answered once", of="stream opened"),
            Wanted(name="Redis write, on the disk", of="Redis write"),
            Wanted(name="demand to granted", of="demand to granted"),
            Wanted(name="demand to READY", of="demand to ready"),
            Wanted(name="release to cleaned", of="release to cleaned"),
            Wanted(
                name="reserve to acquired of labgrid", of="reserve to acquired", needs=(LABGRID,)
            ),
        ),
        open=_open,
    ),
)
