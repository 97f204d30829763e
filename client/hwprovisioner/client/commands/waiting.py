"""Showing on stderr what a request waits for."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, TextIO

from hwprovisioner.client.durations import show

if TYPE_CHECKING:
    from hwprovisioner.client.updates import Update

_CLEAR = "\r\x1b[K"


class WaitingLine:
    """One line that changes on a terminal; else one line for each change.

    Used as a block: the line is gone at its end, so that what comes next starts on a clean one.
    """

    def __init__(self, *, quiet: bool, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._live = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = False

    def __enter__(self) -> WaitingLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._write(_CLEAR)
            self._shown = False

    def update(self, update: Update) -> None:
        """Shows news of a request."""
        if self._quiet:
            return
        if self._live:
            width = max(shutil.get_terminal_size().columns - 1, 20)
            line = f"{update.line} · {show(update.waited_s)}"
            self._write(_CLEAR + (line if len(line) <= width else line[: width - 1] + "…"))
            self._shown = True
        elif not update.repeated:
            elapsed = "" if update.phase == "ready" else f" (after {show(update.waited_s)})"
            self._write(f"{update.line}{elapsed}\n")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            self._quiet = True  # Nobody reads it any more; that is no reason to give the place up.
