"""What the terminal shows while a test waits for its hardware."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import pytest

from hwprovisioner.client.durations import show
from hwprovisioner.client.printable import printable
from hwprovisioner.client.updates import Phase, Update
from hwprovisioner.v1.heartbeat_service_pb2 import Notice

_NOWHERE = -1

QUIET_S = 0.5
"""Nobody wants to read about a wait shorter than this."""


class Display:
    """One changing line on a terminal; elsewhere a line for each change.

    Under xdist a worker has no terminal, so nothing is shown there: the closing section says how
    long each test has waited.
    """

    def __init__(self, config: pytest.Config, nodeid: str) -> None:
        plugins = config.pluginmanager
        self._terminal: Any = plugins.getplugin("terminalreporter")
        self._capture: Any = plugins.getplugin("capturemanager")
        self._nodeid = nodeid
        self._shown = ""
        self._open_line = False
        self._output = _NOWHERE if self._terminal is None else self._uncaptured_output()

    def show(self, update: Update) -> None:
        """Shows an update, in the waiting thread."""
        if self._terminal is None or self._terminal.verbosity < 0:
            return
        if update.waited_s < QUIET_S or (update.phase is Phase.READY and not self._shown):
            return
        is_news = update.line != self._shown
        if not is_news and not self._terminal.isatty:
            return
        self._shown = update.line
        waited = "" if update.phase is Phase.READY else f" ({show(update.waited_s)})"
        self._write(f"hardware for {self._nodeid}: {update.line}{waited}")

    def notice(self, notice: Notice) -> None:
        """Says what the holder should know: from another thread, and while the test runs."""
        if self._output == _NOWHERE or self._terminal.verbosity < 0:
            return
        line = printable(f"hardware for {self._nodeid}: {notice.message}")
        with contextlib.suppress(OSError):  # The test goes on, even if nobody reads.
            os.write(self._output, f"\n{line}\n".encode())

    def end(self) -> None:
        """Says nothing more."""
        output, self._output = self._output, _NOWHERE
        if output != _NOWHERE:
            os.close(output)

    def close(self) -> None:
        """Leaves the terminal as pytest expects it, once the wait is over."""
        if self._open_line:
            with self._uncaptured():
                self._terminal.write("\n", flush=True)
            self._open_line = False

    def _write(self, line: str) -> None:
        with self._uncaptured():
            if not self._open_line:
                self._terminal.ensure_newline()
            if self._terminal.isatty:
                width = self._terminal._tw.fullwidth - 1  # As pytest's own progress does.
                self._terminal.rewrite(line[:width], erase=True)
                self._terminal.flush()
                self._open_line = True
            else:
                self._terminal.write_line(line)
                self._terminal.flush()

    def _uncaptured_output(self) -> int:
        """Gives what leads to the terminal even while pytest captures what a test says."""
        with self._uncaptured():
            try:
                return os.dup(self._terminal._tw._file.fileno())
            except (AttributeError, OSError):  # Some other writer than a file.
                return _NOWHERE

    def _uncaptured(self) -> contextlib.AbstractContextManager[None]:
        """Lets through what is written: while a fixture runs, pytest captures."""
        if self._capture is None:
            return contextlib.nullcontext()
        uncaptured: contextlib.AbstractContextManager[None] = (
            self._capture.global_and_fixture_disabled()
        )
        return uncaptured
