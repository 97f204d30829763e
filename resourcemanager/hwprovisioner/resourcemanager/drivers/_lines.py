"""Makes lines of what a program prints, however it comes in."""

from __future__ import annotations

from hwprovisioner.resourcemanager.driver import Report

#: A longer line is cut.
LONGEST_LINE = 4096


class LineSplitter:
    """Reports each line that says anything; the last one often explains a failure."""

    def __init__(self, report: Report) -> None:
        self.last = ""
        self._report = report
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take what has come; progress bars end their lines with a carriage return."""
        *lines, rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        self._rest = rest[:LONGEST_LINE]
        for line in lines:
            self._line(line)

    def finish(self) -> None:
        """Report what came without an end of line."""
        rest, self._rest = self._rest, b""
        self._line(rest)

    def _line(self, raw: bytes) -> None:
        text = raw[:LONGEST_LINE].decode(errors="replace").strip()
        if text:
            self.last = text
            self._report(text)
