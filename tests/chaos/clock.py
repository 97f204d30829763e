"""The clock of Redis, which a fault may set."""

import time
from pathlib import Path

from support.set_clock import SetClock

HOUR_MS = 3_600_000
#: Redis asks what time it is very often, and the file that tells is looked at only so often.
NOTICED_S = 1


def can_be_set() -> bool:
    """Whether libfaketime is there (Debian: faketime)."""
    return any(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


def environ_of(clock: SetClock) -> dict[str, str]:
    """Return what a process is told whose clock that is."""
    told = {name: value for name, value in clock.environ.items() if name != "FAKETIME_NO_CACHE"}
    return {**told, "FAKETIME_CACHE_DURATION": str(NOTICED_S)}


def true_ms(t_ms: int) -> int:
    """Return what a time of Redis would be if nobody had set its clock, by whole hours, just now.

    It is told a moment after it was.
    """
    ahead_h = round((t_ms - time.time() * 1000) / HOUR_MS)
    return t_ms - ahead_h * HOUR_MS
