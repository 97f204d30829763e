"""Notices what blocks an event loop, and which programs are started with what."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any, SupportsIndex

#: A loop that has not answered for so long is blocked, not busy.
LIMIT_S = 5.0
_INTERVAL_S = 0.2

_sleep = time.sleep


class Watch:
    """What was noticed on one event loop, while it ran."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.blocks: list[str] = []
        #: The command line of each program that was started.
        self.programs: list[str] = []
        self.thread = threading.get_ident()
        self._loop = loop
        self._over = threading.Event()
        self._answered = threading.Event()

    def watch(self) -> None:
        """Ask the loop whether it turns, until `stop`."""
        while not self._over.wait(_INTERVAL_S):
            self._answered.clear()
            try:
                self._loop.call_soon_threadsafe(self._answered.set)
            except RuntimeError:  # closed
                return
            if not self._answered.wait(LIMIT_S):
                frame = sys._current_frames().get(self.thread)
                where = "".join(traceback.format_stack(frame)[-6:])
                self.blocks.append(f"the event loop stood still for {LIMIT_S:g} s:\n{where}")
                return

    def stop(self) -> None:
        """End `watch`."""
        self._over.set()
        self._answered.set()


_watch: Watch | None = None


@contextlib.contextmanager
def watching(loop: asyncio.AbstractEventLoop) -> Iterator[Watch]:
    """Watch a loop of this thread."""
    global _watch
    _install()
    _watch = watch = Watch(loop)
    thread = threading.Thread(target=watch.watch, name="conformance watch", daemon=True)
    thread.start()
    time.sleep = _noticed_sleep
    try:
        yield watch
    finally:
        time.sleep = _sleep
        _watch = None
        watch.stop()
        thread.join()


_is_installed = False


def _install() -> None:
    """Have Python say what it does: it can be asked to begin, never to stop."""
    global _is_installed
    if not _is_installed:
        sys.addaudithook(_audit)
        _is_installed = True


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _watch is None or event not in _EVENTS:
        return
    if event in ("subprocess.Popen", "os.posix_spawn"):
        _watch.programs.append(f"{args[0]} {args[1]}")
    if _EVENTS[event](args):
        _notice(event, sys._getframe(1))


def _notice(what: str, frame: FrameType) -> None:
    """Note what blocks, if it is done in the event loop's own thread."""
    if _watch is not None and _watch.thread == threading.get_ident():
        caller = "".join(traceback.format_stack(frame)[-4:])
        _watch.blocks.append(f"{what} in the event loop:\n{caller}")


def _noticed_sleep(seconds: SupportsIndex | float, /) -> None:
    """Do as `time.sleep` does. Before Python 3.13 that raises no audit event."""
    _notice("time.sleep", sys._getframe(1))
    _sleep(seconds)


def _is_blocking_connect(args: tuple[Any, ...]) -> bool:
    sock = args[0]
    return sock.family in (socket.AF_INET, socket.AF_INET6) and sock.gettimeout() != 0.0


def _is_waited_for(args: tuple[Any, ...]) -> bool:
    """Say whether a program is started by what returns only when it has ended."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_code.co_filename != subprocess.__file__:
        frame = frame.f_back
    while frame.f_back is not None and frame.f_back.f_code.co_filename == subprocess.__file__:
        frame = frame.f_back
    return frame.f_code.co_name in ("run", "call", "check_call", "check_output", "getoutput")


_EVENTS = {
    "socket.connect": _is_blocking_connect,
    "socket.getaddrinfo": lambda args: True,
    "os.system": lambda args: True,
    "os.posix_spawn": lambda args: False,
    "subprocess.Popen": _is_waited_for,
}
