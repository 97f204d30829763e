"""The clock of the lab, which is that of its Redis."""

import time


class LabClock:
    """Tells the time that Redis would tell, from what it told last."""

    def __init__(self) -> None:
        """Begin without knowing."""
        self._told_ms = 0
        self._at_s = 0.0

    def set(self, now_ms: int) -> None:
        """Note what Redis says, in ms since the epoch."""
        self._told_ms, self._at_s = now_ms, time.monotonic()

    def now_ms(self) -> int:
        """Return the time in ms since the epoch, 0 as long as Redis has told nothing."""
        if not self._told_ms:
            return 0
        return self._told_ms + int((time.monotonic() - self._at_s) * 1000)
