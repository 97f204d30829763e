"""What a replica that cannot reach Redis knows about the lab: that leases are paused. Pure.

The lab pauses leases while a replica is silent, for up to its limit. The replica says so to
holders, so it must be true however slow anybody is, and whatever got lost. Two moments bound it:

* The newest answer from Redis. What this replica has sent since counts only for
  `ANSWERED_WITHIN_MS` after the time in that answer (``sign_on.lua``), whenever it arrives;
  `SILENT_AFTER_MS` later leases are paused, and stay so until Redis has answered once more.
* When that was sent which was accepted last: the lab waits for its limit at least from then on.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from hwprovisioner.state.beaters import ANSWERED_WITHIN_MS, SILENT_AFTER_MS, UNSEEN_MS

_CERTAIN_AFTER_MS = ANSWERED_WITHIN_MS + SILENT_AFTER_MS + UNSEEN_MS
_DRIFT = 0.01
"""Clocks differ in speed by far less."""


def machine_ms() -> float:
    """Return the ms since the machine started, with its sleep where the system counts that."""
    clock: int | None = getattr(time, "CLOCK_BOOTTIME", None)
    return (time.monotonic() if clock is None else time.clock_gettime(clock)) * 1000


@dataclass(frozen=True, slots=True)
class Pause:
    """Leases are paused."""

    paused_for_ms: int
    """For so long at least."""
    remaining_ms: int
    """For so long it can be said."""


class Standing:
    """What follows from when this replica was answered, and accepted."""

    def __init__(self, limit_ms: int, now_ms: Callable[[], float] = machine_ms) -> None:
        self.now_ms = now_ms
        # A clock set ahead by less than what pauses leases may do so unseen.
        self._for_ms = limit_ms * (1 - _DRIFT) - SILENT_AFTER_MS
        self._paused_from_ms = float("inf")
        self._paused_to_ms = float("-inf")
        self._told = 0
        self._known = 0

    @property
    def told(self) -> int:
        """How often holders were told of a pause."""
        return self._told

    @property
    def has_told(self) -> bool:
        """Whether holders were told of a pause that the lab does not know of for certain."""
        return self._told > self._known

    def answered(self) -> None:
        """Redis has just answered."""
        self._paused_from_ms = self.now_ms() + _CERTAIN_AFTER_MS

    def accepted(self, sent_ms: float, told: int) -> None:
        """Redis has accepted what was sent then, when holders had been told so often."""
        self._paused_to_ms = sent_ms + self._for_ms
        self._known = told

    def pause(self) -> Pause | None:
        """Return how leases are paused, to be told to a holder; None if that is not certain."""
        now_ms = self.now_ms()
        if not self._paused_from_ms <= now_ms < self._paused_to_ms:
            return None
        self._told += 1
        return Pause(int(now_ms - self._paused_from_ms), int(self._paused_to_ms - now_ms))
