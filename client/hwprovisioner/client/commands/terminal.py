"""A terminal that passes everything on as it is typed, and is itself again afterwards."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

try:
    import termios
    import tty
except ImportError:  # Windows: lines are passed on as they are entered.
    termios = None  # type: ignore[assignment]


@contextlib.contextmanager
def raw(file: int = 0) -> Iterator[bool]:
    """Passes keys on one by one, Ctrl-C too, for the length of a block; says whether it does so.

    However the block ends, the terminal is as it was. What is no terminal is left alone.
    """
    if termios is None or not os.isatty(file):
        yield False
        return
    before = termios.tcgetattr(file)
    try:
        tty.setraw(file, termios.TCSANOW)
        yield True
    finally:
        # At once: output that is held up is no reason to keep the terminal as it is.
        termios.tcsetattr(file, termios.TCSANOW, before)
