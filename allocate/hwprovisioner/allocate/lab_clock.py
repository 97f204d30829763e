"""The clock of the lab, which is that of its Redis, and the steady time that durations go by."""

import time

_STEP_MS = 2_000
"""By less they may come apart because somebody looked late."""


class LabClock:
    """Tells the time that Redis would tell, from what it told last.

    The clock may be set, so how long something takes is reckoned by the lab's steady time
    (`steady.lua`), which falls behind the clock by as much as that was set ahead, or ran while
    nobody looked. It is the same for all replicas, and what records say of it stays true.
    """

    def __init__(self) -> None:
        """Begin without knowing."""
        self._told_ms = 0
        self._at_s = 0.0
        self._behind_ms = 0

    def set(self, now_ms: int) -> None:
        """Note what Redis says, in ms since the epoch."""
        self._told_ms, self._at_s = now_ms, time.monotonic()

    def set_both(self, now_ms: int, steady_ms: int) -> bool:
        """Note what Redis says of both, and say whether moments of steady time are others now."""
        self.set(now_ms)
        before_ms, self._behind_ms = self._behind_ms, now_ms - steady_ms
        return abs(self._behind_ms - before_ms) > _STEP_MS

    def now_ms(self) -> int:
        """Return the time in ms since the epoch, 0 as long as Redis has told nothing."""
        if not self._told_ms:
            return 0
        return self._told_ms + int((time.monotonic() - self._at_s) * 1000)

    def steady_ms(self, now_ms: int) -> int:
        """Return the steady time at a moment of the clock."""
        return now_ms - self._behind_ms

    def moment_ms(self, steady_ms: int) -> int:
        """Return the moment of a steady time, by the clock as it goes now."""
        return steady_ms + self._behind_ms
