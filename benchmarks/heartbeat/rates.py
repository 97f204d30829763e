"""Leases kept alive: next to calls that do nothing, and next to etcd's."""

import contextlib
from collections.abc import Iterator, Mapping

from benchmarks.frame.case import (
    ETCD,
    H2LOAD,
    Case,
    Effort,
    Fresh,
    Readings,
    Side,
    Wanted,
    reading,
)
from benchmarks.frame.stage import Stage
from benchmarks.heartbeat import empty
from benchmarks.heartbeat.lab import LEASES, Beats, empty_calls, fill, redis_in_memory
from benchmarks.peers.etcd.server import Etcd

_IN_FLIGHT = 128
_WORKERS = 2
_CONNECTIONS = 32
"""The system deals them out to workers by chance: with so many each has about its share."""
_BATCHES = 4


@contextlib.contextmanager
def _open_many(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    ours = Beats(stage, fill(stage.redis(), effort), "")
    port = empty.start(stage)

    def beats() -> Readings:
        load = ours.one_by_one(_IN_FLIGHT, effort.seconds)
        return {"beats": reading(load.per_second, "/s"), "Redis": reading(load.redis, "cores")}

    def nothing() -> Readings:
        rate = empty_calls(stage, port, empty.EMPTY, _IN_FLIGHT, effort.seconds)
        return {"empty calls": reading(rate, "/s")}

    def bunched() -> Readings:
        rate = empty_calls(stage, port, empty.BUNCHED, _IN_FLIGHT, effort.seconds)
        return {"bunched calls": reading(rate, "/s")}

    yield {"beats": beats, "empty": nothing, "bunched": bunched}


@contextlib.contextmanager
def _open_one(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    port = empty.start(stage)
    on_disk = Beats(stage, fill(stage.redis("redis on the disk"), effort), " on the disk")
    with redis_in_memory(stage) as redis:
        in_memory = Beats(stage, fill(redis, effort), " in memory")

        def beats() -> Readings:
            return {"beats": reading(in_memory.one_by_one(1, effort.seconds).per_second, "/s")}

        def synced() -> Readings:
            rate = on_disk.one_by_one(1, effort.seconds).per_second
            return {"beats on this disk": reading(rate, "/s")}

        def nothing() -> Readings:
            rate = empty_calls(stage, port, empty.EMPTY, 1, effort.seconds)
            return {"empty calls": reading(rate, "/s")}

        yield {"beats": beats, "on the disk": synced, "empty": nothing}


@contextlib.contextmanager
def _open_workers(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    ours = Beats(stage, fill(stage.redis(), effort), "", "--workers", str(_WORKERS))
    port = empty.start(stage, _WORKERS)

    def beats() -> Readings:
        load = ours.one_by_one(_IN_FLIGHT, effort.seconds, _CONNECTIONS)
        return {"beats": reading(load.per_second, "/s"), "Redis": reading(load.redis, "cores")}

    def nothing() -> Readings:
        how = (_IN_FLIGHT, effort.seconds, _CONNECTIONS)
        return {"empty calls": reading(empty_calls(stage, port, empty.EMPTY, *how), "/s")}

    sides: dict[str, Side] = {"beats": beats, "empty": nothing}
    if not ETCD.missing():
        etcd = Etcd(stage)

        def calls() -> Readings:
            rate = etcd.keep_alive_calls(_IN_FLIGHT, effort.seconds)
            return {"etcd's keep-alive calls": reading(rate, "/s")}

        leases = effort.pick(full=LEASES, quick=1_000)
        sides["etcd"] = Fresh(lambda: etcd.fresh(leases), calls)
    yield sides


@contextlib.contextmanager
def _open_batches(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    ours = Beats(stage, fill(stage.redis(), effort), "")

    def beats() -> Readings:
        load = ours.together(_BATCHES, effort.seconds)
        return {"leases": reading(load.per_second, "/s"), "Redis": reading(load.redis, "cores")}

    sides: dict[str, Side] = {"beats": beats}
    if not ETCD.missing():
        etcd = Etcd(stage)

        def streams() -> Readings:
            rate = etcd.keep_alive_streams(_BATCHES, effort.seconds)
            return {"leases of etcd": reading(rate, "/s")}

        leases = effort.pick(full=LEASES, quick=1_000)
        sides["etcd"] = Fresh(lambda: etcd.fresh(leases), streams)
    yield sides


_EMPTY_OF_TWO = "two workers at least 1.3 x two empty ones"

CASES = (
    Case(
        name="heartbeat",
        what="beats in one process, 128 in flight, 10,000 leases (quick: 1,000), all on the disk",
        wanted=(
            Wanted(
                name="beats / empty calls",
                of="beats",
                to="empty calls",
                at_least=0.9,
                words="at least 0.9 x the empty unary call of the same server and loop",
            ),
            Wanted(
                name="beats / empty calls that are bunched alike",
                of="beats",
                to="bunched calls",
                at_least=0.9,
                words="at least 0.9 x an empty call with equally bunched replies",
            ),
            Wanted(name="Redis busy", of="Redis", at_most=0.2, words="below 20 % of a core"),
        ),
        needs=(H2LOAD,),
        open=_open_many,
    ),
    Case(
        name="heartbeat-alone",
        what="one beat at a time; the file of Redis is synced in memory, or on this disk",
        wanted=(
            Wanted(
                name="beats / empty calls, one at a time",
                of="beats",
                to="empty calls",
                at_least=0.48,
                words="one at a time at least 0.48 x",
            ),
            Wanted(name="the same on this disk", of="beats on this disk", to="empty calls"),
        ),
        needs=(H2LOAD,),
        open=_open_one,
        full=True,
    ),
    Case(
        name="heartbeat-workers",
        what="beats in two processes, each on a core of its own, 128 in flight on 32 connections",
        wanted=(
            Wanted(
                name="beats / empty calls of two processes",
                of="beats",
                to="empty calls",
                at_least=1.3,
                words=_EMPTY_OF_TWO,
            ),
            Wanted(
                name="beats / etcd's keep-alives, a call for each",
                of="beats",
                to="etcd's keep-alive calls",
                at_least=0.4,
                words="two workers at least 0.4 x etcd's one-RPC keepalive, fresh",
                needs=(ETCD,),
            ),
            Wanted(name="Redis busy", of="Redis"),
        ),
        needs=(H2LOAD,),
        open=_open_workers,
        full=True,
    ),
    Case(
        name="heartbeat-batch",
        what="BatchHeartbeat of 1,000 leases in one process, four calls in flight, all on the disk",
        wanted=(
            Wanted(
                name="leases kept alive",
                of="leases",
                at_least=100_000,
                words="at least 100,000 leases/s by one process, each really in Redis",
            ),
            Wanted(
                name="leases kept alive / by etcd's lease streams",
                of="leases",
                to="leases of etcd",
                at_least=1.0,
                words="more than etcd's lease stream gives in the same run",
                needs=(ETCD,),
            ),
            Wanted(name="Redis busy", of="Redis"),
        ),
        needs=(H2LOAD,),
        open=_open_batches,
    ),
)
