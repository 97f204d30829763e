"""One event loop in one background thread for each process: what the blocking face runs on.

Heartbeats go on there while a test blocks for an hour. A forked child has no such thread: it starts
its own, unless its parent had one. gRPC that was in use does not survive a fork (tried with 1.85:
the child hangs or crashes, GRPC_ENABLE_FORK_SUPPORT or not), so that is refused in words.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Coroutine
from queue import SimpleQueue
from typing import Generic, TypeVar

from hwprovisioner.client.errors import LabError

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
News = TypeVar("News")
Cleanup = Callable[[], Coroutine[None, None, None]]

EXIT_LIMIT_S = 6.0
"""How long the end of the process waits for what is still allocated to be given back."""


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._cleanups: set[Cleanup] = set()
        self._thread = threading.Thread(target=self._run, name="hwp-client", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def call(
        self,
        work: Coroutine[None, None, Answer],
        news: Mailbox[News] | None = None,
        on_news: Callable[[News], None] | None = None,
    ) -> Answer:
        """Runs a coroutine and waits for it.

        When the waiting thread is interrupted (Ctrl-C, a time-out that raises), the coroutine is
        cancelled, its clean-up awaited, and the interruption goes on.

        Args:
            work: What to run.
            news: Where `work` puts what it has to tell on its way.
            on_news: Is told it, in the calling thread.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise LabError(
                "a callback of the SDK must not wait for the SDK; do this in another thread",
                reason="WOULD_DEADLOCK",
            )
        box: Mailbox[News] = Mailbox() if news is None else news
        tasks: list[asyncio.Task[Answer]] = []

        def start() -> None:
            tasks.append(self._loop.create_task(work))
            tasks[0].add_done_callback(lambda _: box.close())

        self._loop.call_soon_threadsafe(start)
        try:
            box.read(on_news)
        except BaseException:
            self._loop.call_soon_threadsafe(lambda: tasks[0].cancel())
            box.read(None)  # A second Ctrl-C comes out here.
            with contextlib.suppress(BaseException):
                tasks[0].exception()
            raise
        return tasks[0].result()

    def soon(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Has something done, without waiting for it."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: self._loop.create_task(work()))

    def at_exit(self, cleanup: Cleanup) -> None:
        """Has something done if the process ends before `not_at_exit`."""
        self._cleanups.add(cleanup)

    def not_at_exit(self, cleanup: Cleanup) -> None:
        """It has been done."""
        self._cleanups.discard(cleanup)

    def stop(self) -> None:
        """Does what is left to do, then ends the thread."""

        async def clean() -> None:
            await asyncio.wait_for(
                asyncio.gather(*(do() for do in self._cleanups), return_exceptions=True),
                EXIT_LIMIT_S,
            )

        if self._cleanups:
            with contextlib.suppress(Exception):
                self.call(clean())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=1.0)


class Mailbox(Generic[News]):
    """What a coroutine tells a waiting thread, until it has ended."""

    def __init__(self) -> None:
        self._letters: SimpleQueue[tuple[News] | None] = SimpleQueue()

    def put(self, letter: News) -> None:
        """Tells something."""
        self._letters.put((letter,))

    def close(self) -> None:
        """There is nothing more to tell."""
        self._letters.put(None)

    def read(self, tell: Callable[[News], None] | None) -> None:
        """Waits until it is closed; passes on what comes before."""
        while (letter := self._letters.get()) is not None:
            if tell is not None:
                tell(letter[0])


_lock = threading.Lock()
_current: tuple[int, LoopThread] | None = None
_parent_had_one = False
_left_behind: list[object] = []


def loop_thread() -> LoopThread:
    """Gives this process's thread, and starts it if there is none yet.

    Raises:
        LabError: This is a forked child of a process that had one.
    """
    global _current
    if _parent_had_one:
        raise LabError(
            "this process was forked from one that already talks to a lab, and gRPC does not"
            " survive a fork; start it with multiprocessing's 'spawn' or 'forkserver', or as a"
            " program of its own, or use the lab in the child only",
            reason="FORKED",
        )
    with _lock:
        if _current is None or _current[0] != os.getpid():
            _current = (os.getpid(), LoopThread())
        return _current[1]


def leave_behind(thing: object) -> None:
    """Keeps what a forked child must neither use nor destroy: its parent's connections."""
    _left_behind.append(thing)


def _forked() -> None:
    """In a forked child: the lock may have been held, the thread is not there."""
    global _lock, _current, _parent_had_one
    leave_behind(_current)
    _parent_had_one = _parent_had_one or _current is not None
    _lock = threading.Lock()
    _current = None


def _stop() -> None:
    if _current is not None and _current[0] == os.getpid():
        _current[1].stop()


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
