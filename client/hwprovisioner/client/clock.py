"""Time for leases: a clock that is never stepped and that goes on while the machine sleeps."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Time(Protocol):
    """Tells and passes time; tests hand in one that they move themselves."""

    def now(self) -> float:
        """Seconds since some moment in the past; may be called from any thread."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns when so much time has passed."""
        ...


class SystemTime:
    """The machine's own clock.

    Where there is CLOCK_BOOTTIME (Linux) it counts a suspended machine's sleep too. Elsewhere it
    may not: a lease that ended in the sleep is then noticed by the next heartbeat instead of at
    once. A stopped process (SIGSTOP) is seen by every clock.
    """

    def __init__(self) -> None:
        self._clock = getattr(time, "CLOCK_BOOTTIME", None)

    def now(self) -> float:
        """Seconds since the machine started."""
        return time.monotonic() if self._clock is None else time.clock_gettime(self._clock)

    async def sleep(self, seconds: float) -> None:
        """Returns after so many seconds; a suspended machine's sleep may not count."""
        await asyncio.sleep(seconds)


SYSTEM_TIME = SystemTime()
