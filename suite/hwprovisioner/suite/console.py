"""What people see of `hwp up`: its own words on stdout, the children's on stderr."""

import sys
from typing import TextIO

_NAME_WIDTH = 9


class TerminalConsole:
    """Writes to this process's own stdout and stderr.

    That nobody reads (any more) is no reason to stop running tests' hardware.
    """

    def say(self, line: str) -> None:
        """Show what `hwp up` itself says."""
        _write(sys.stdout, line)

    def log(self, name: str, line: str) -> None:
        """Show a line of a child's output."""
        _write(sys.stderr, f"{name:<{_NAME_WIDTH}} | {line}")


def _write(stream: TextIO, line: str) -> None:
    try:
        stream.write(line + "\n")
        stream.flush()
    except (OSError, ValueError):
        pass
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(line.encode(encoding, "replace").decode(encoding) + "\n")
