"""Telling whether the clock of Redis was set, from how much time has passed here."""

import time
from collections.abc import Callable

from hwprovisioner.state.care import Paused

_LEAST_MS = 2_000
"""What is set by less pauses no leases, and cannot be told from a slow answer."""


class ClockSteps:
    """Compares the clock of Redis with one that is never set."""

    def __init__(self, machine_s: Callable[[], float] = time.monotonic) -> None:
        """Begin without knowing."""
        self._machine_s = machine_s
        self._tended: tuple[int, float] | None = None

    def tended(self, now_ms: int) -> None:
        """Note the time of Redis, when leases were looked after just now."""
        self._tended = now_ms, self._machine_s()

    def step_ms(self, paused: Paused) -> int:
        """Return by how much the clock was set since leases were last looked after, in ms.

        It is 0 if it was not, if that is not known, and if deadlines have followed it. That it was
        set back can be told without having been there, and by how much at least.
        """
        if self._tended is None:
            step_ms = min(0, paused.now_ms - paused.last_ms) if paused.last_ms else 0
            return step_ms if step_ms < -_LEAST_MS else 0
        last_ms, last_s = self._tended
        if abs(paused.last_ms - last_ms) > _LEAST_MS:
            return 0  # Somebody else looked after them later, who knows more.
        step_ms = paused.now_ms - last_ms - round((self._machine_s() - last_s) * 1000)
        return step_ms if abs(step_ms) > _LEAST_MS else 0
