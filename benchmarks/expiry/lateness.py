"""Cases: so many leases live, and some of them end at moments that nobody knows."""

import contextlib
import functools
import random
from collections.abc import Iterator, Mapping

from benchmarks.expiry.leases import Leases
from benchmarks.frame import services
from benchmarks.frame.case import Case, Effort, Readings, Side, Wanted, reading
from benchmarks.frame.percentiles import percentiles
from benchmarks.frame.stage import RedisServer, Stage

_FIRST_MS = 1500
"""By then Allocate has taken note of all of them."""
_EACH_MS = 10
"""On average so much time is between two ends."""


@contextlib.contextmanager
def _open(stage: Stage, effort: Effort, *, live: int) -> Iterator[Mapping[str, Side]]:
    redis = stage.redis()
    services.manager(stage, services.allocate(stage, redis), resources=1)
    leases = Leases(redis.unix_url)
    leases.live(live)
    count = effort.pick(full=1000, quick=100)
    announced = _setting(redis)

    def with_notifications() -> Readings:
        _set(redis, announced)
        return _lateness("", leases, count)

    def without() -> Readings:
        _set(redis, "")
        return _lateness(", notifications off", leases, count // 4)

    yield {"notifications on": with_notifications, "notifications off": without}


def _lateness(how: str, leases: Leases, count: int) -> Readings:
    last_ms = _FIRST_MS + count * _EACH_MS
    found = leases.lateness_ms([random.randint(_FIRST_MS, last_ms) for _ in range(count)])
    late = percentiles(found)
    return {
        f"lateness p50{how}": reading(late.p50, "ms"),
        f"lateness p99{how}": reading(late.p99, "ms"),
        f"lateness max{how}": reading(late.most, "ms"),
    }


def _setting(redis: RedisServer) -> str:
    """Return what Allocate has Redis announce."""
    return redis.command("CONFIG GET notify-keyspace-events").decode().splitlines()[-1]


def _set(redis: RedisServer, events: str) -> None:
    redis.command(f'CONFIG SET notify-keyspace-events "{events}"')


def _case(name: str, live: int, *, full: bool) -> Case:
    among = f"{live:,} leases live, 1,000 ending at random"

    def wanted(which: str, at_most: float) -> Wanted:
        words = f"{among}: {which} <= {at_most:g} ms"
        return Wanted(
            name=f"lateness, {which}", of=f"lateness {which}", at_most=at_most, words=words
        )

    return Case(
        name=name,
        what=f"how late leases end that nobody beats, among {live:,}",
        wanted=(
            wanted("p50", 3),
            wanted("p99", 10),
            wanted("max", 50),
            wanted("max, notifications off", 250),
            Wanted(name="lateness, p50, notifications off", of="lateness p50, notifications off"),
        ),
        open=functools.partial(_open, live=live),
        full=full,
    )


CASES = (
    _case("expiry", 10_000, full=False),
    _case("expiry-100k", 100_000, full=True),
)
