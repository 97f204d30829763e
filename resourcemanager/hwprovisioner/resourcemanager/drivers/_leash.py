"""Programs that do not outlive this process, even if it is killed.

A script that goes on after its manager was killed would work on hardware that the next manager has
cleaned and lent to somebody else. So a keeper, a small process of its own, is told on a pipe what
runs: each program says so itself before it begins, so that there is no moment in which it runs
unkept, and this process says when one has ended. When this process dies, the pipe ends, and the
keeper kills the process groups of all that have not.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

_KEEPER = """
import os, signal, sys
os.setsid()
running = set()
for line in sys.stdin.buffer:
    (running.add if line[:1] == b"+" else running.discard)(int(line[1:]))
for group in running:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""

# Python has SIGPIPE ignored, which the program would inherit.
_LAUNCHER = """
import os, signal, sys
pipe, *command = sys.argv[1:]
os.write(int(pipe), b"+%d\\n" % os.getpid())
os.close(int(pipe))
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
try:
    os.execvp(command[0], command)
except OSError as error:
    os.write(2, f"it cannot be started: {error.strerror}\\n".encode())
    os._exit(127)
"""

_PYTHON = (sys.executable, "-I", "-S", "-c")


class Leash:
    """Keeps programs, with one keeper for all of them, which is started when it is needed."""

    def __init__(self) -> None:
        self._keeper = 0
        self._pipe = -1

    @property
    def pipe(self) -> int:
        """What a leashed program has to inherit."""
        if not self._is_kept():
            self._start()
        return self._pipe

    def leashed(self, command: Sequence[str]) -> tuple[str, ...]:
        """Return a command that runs `command` leashed, as the leader of a process group."""
        return (*_PYTHON, _LAUNCHER, str(self.pipe), *command)

    def ended(self, pid: int) -> None:
        """Let go of a program that has ended, and with it of what it left running."""
        with contextlib.suppress(OSError):
            os.write(self._pipe, b"-%d\n" % pid)

    def _is_kept(self) -> bool:
        if not self._keeper:
            return False
        try:
            ended, _ = os.waitpid(self._keeper, os.WNOHANG)
        except ChildProcessError:
            return False
        return ended == 0

    def _start(self) -> None:
        near, far = os.pipe()
        with open(os.devnull, "wb") as nowhere:
            self._keeper = os.posix_spawn(
                sys.executable,
                (*_PYTHON, _KEEPER),
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, near, 0),
                    (os.POSIX_SPAWN_DUP2, nowhere.fileno(), 1),
                    (os.POSIX_SPAWN_DUP2, nowhere.fileno(), 2),
                ],
            )
        os.close(near)
        if self._pipe >= 0:
            os.close(self._pipe)
        self._pipe = far
