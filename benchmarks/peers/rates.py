"""What etcd and Redis can do by themselves on this machine, for whoever wants to compare."""

import contextlib
from collections.abc import Iterator, Mapping

from benchmarks.frame.case import (
    ETCD,
    H2LOAD,
    REDIS_BENCHMARK,
    Case,
    Effort,
    Fresh,
    Readings,
    Side,
    Wanted,
    reading,
)
from benchmarks.frame.percentiles import percentiles
from benchmarks.frame.stage import Stage
from benchmarks.peers.etcd.server import Etcd
from benchmarks.peers.redis_alone import RedisAlone

LEASES = 10_000
_IN_FLIGHT = 128
_STREAMS = 4
_ENDING, _EACH_MS = 1_000, 10


@contextlib.contextmanager
def _open_etcd(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    etcd = Etcd(stage)
    leases = effort.pick(full=LEASES, quick=1_000)

    def fresh() -> None:
        etcd.fresh(leases)

    def calls() -> Readings:
        return {
            "keep-alive calls": reading(etcd.keep_alive_calls(_IN_FLIGHT, effort.seconds), "/s")
        }

    def streams() -> Readings:
        return {"keep-alives": reading(etcd.keep_alive_streams(_STREAMS, effort.seconds), "/s")}

    def grants() -> Readings:
        return {"grants": reading(etcd.grants(_IN_FLIGHT, effort.seconds), "/s")}

    def transactions() -> Readings:
        return {"transactions": reading(etcd.transactions(_IN_FLIGHT, effort.seconds), "/s")}

    sides = {"calls": calls, "streams": streams, "grants": grants, "transactions": transactions}
    yield {name: Fresh(fresh, side) for name, side in sides.items()}


@contextlib.contextmanager
def _open_expiry(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    etcd = Etcd(stage)
    etcd.fresh(LEASES)
    client = stage.talker("client", "benchmarks.peers.etcd.expiring", etcd.address)

    def ends() -> Readings:
        found = client.ask("lateness", count=_ENDING, each_ms=_EACH_MS)
        late = percentiles(found)
        return {
            "p50": reading(late.p50, "ms"),
            "p99": reading(late.p99, "ms"),
            "max": reading(late.most, "ms"),
        }

    yield {"ends": ends}


@contextlib.contextmanager
def _open_redis(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
    redis = RedisAlone(stage, effort.pick(full=LEASES, quick=1_000))
    many, few = effort.pick(full=60_000, quick=6_000), effort.pick(full=1_500, quick=150)

    def writes() -> Readings:
        return {"writes": reading(redis.writes(many), "/s")}

    def beats() -> Readings:
        return {"beats, one by one": reading(redis.beats(many, 1), "/s")}

    def batches() -> Readings:
        return {"beats, 100 together": reading(redis.beats(few, 100), "/s")}

    yield {"writes": writes, "beats": beats, "batches": batches}


CASES = (
    Case(
        name="etcd",
        what="etcd by itself, fresh, 10,000 leases (quick: 1,000), 128 in flight",
        wanted=(
            Wanted(name="leases kept alive, a call for each", of="keep-alive calls"),
            Wanted(name="leases kept alive by streams of 200", of="keep-alives"),
            Wanted(name="leases granted", of="grants"),
            Wanted(name="transactions: compare and put", of="transactions"),
        ),
        needs=(ETCD, H2LOAD),
        open=_open_etcd,
        full=True,
        rounds=3,
    ),
    Case(
        name="etcd-expiry",
        what="how late leases end in etcd, 1,000 of 3 s among 10,000",
        wanted=tuple(Wanted(name=f"lateness, {each}", of=each) for each in ("p50", "p99", "max")),
        needs=(ETCD, H2LOAD),
        open=_open_expiry,
        full=True,
        rounds=3,
    ),
    Case(
        name="redis",
        what="Redis by itself, all on the disk, 10,000 leases (quick: 1,000), 64 connections",
        wanted=(
            Wanted(name="plain writes", of="writes"),
            Wanted(name="beats, a script for each", of="beats, one by one"),
            Wanted(name="beats, a script for 100", of="beats, 100 together"),
        ),
        needs=(REDIS_BENCHMARK,),
        open=_open_redis,
        full=True,
        rounds=3,
    ),
)
