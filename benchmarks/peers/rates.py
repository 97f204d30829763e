"""What etcd and Redis alone can do on this machine, for whoever wants to compare."""

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
from benchmarks.peers.etcd.server import Etcd

LEASES = 10_000
_IN_FLIGHT = 128
_STREAMS = 4


@contextlib.contextmanager
def _open(stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
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
        open=_open,
    ),
)
