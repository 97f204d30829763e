"""Thins out what drivers say.

A script may print thousands of lines, and each would be a change of the lab.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

#: At most one line in so long.
INTERVAL_S = 0.2


class Progress:
    """Passes lines on, at most one per interval; of several in between, the newest."""

    def __init__(self, send: Callable[[str], None], interval_s: float = INTERVAL_S) -> None:
        self._send = send
        self._interval_s = interval_s
        self._waiting = ""
        self._timer: asyncio.TimerHandle | None = None

    def report(self, text: str) -> None:
        """Pass on the last line of a text that says anything."""
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if not lines:
            return
        if self._timer is not None:
            self._waiting = lines[-1]
            return
        self._send(lines[-1])
        self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._next)

    def close(self) -> None:
        """Pass on what waits; nothing is passed on after."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            self._send(self._waiting)
            self._waiting = ""

    def _next(self) -> None:
        self._timer = None
        if self._waiting:
            line, self._waiting = self._waiting, ""
            self.report(line)
