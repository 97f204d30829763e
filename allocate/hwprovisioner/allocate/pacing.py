"""Doing something at most so often, and not forgetting it when it was too early."""

import asyncio
from collections.abc import Callable


class Pace:
    """Says whether it is time again; if not, wakes whoever asked once it is."""

    def __init__(self, every_s: float, wake: Callable[[], None]) -> None:
        """Say yes at most every `every_s`."""
        self._every_s = every_s
        self._wake = wake
        self._next_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def is_time(self) -> bool:
        """Return whether the last yes was long enough ago, which makes this one."""
        loop = asyncio.get_running_loop()
        if loop.time() >= self._next_s:
            self._next_s = loop.time() + self._every_s
            return True
        if self._timer is None:
            self._timer = loop.call_at(self._next_s, self._ring)
        return False

    def _ring(self) -> None:
        self._timer = None
        self._wake()
