"""Standard input and output for an event loop, whatever they are: files, pipes, terminals.

Threads do it, as not everything can be waited for, and what can must not be made non-blocking: it
may be the terminal of others, too. They are daemons, so that one that is stuck keeps nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue

CHUNK = 64 * 1024


class StandardInput:
    """What comes in, read only as fast as it is asked for."""

    def __init__(self, file: int = 0) -> None:
        self._loop = asyncio.get_running_loop()
        self._file = file
        self._asked: SimpleQueue[asyncio.Future[bytes]] = SimpleQueue()
        threading.Thread(target=self._work, name="hwp-stdin", daemon=True).start()

    async def read(self) -> bytes:
        """Waits for more; nothing at the end."""
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._asked.put(future)
        return await future

    def _work(self) -> None:
        while True:
            future = self._asked.get()
            try:
                data = os.read(self._file, CHUNK)
            except OSError:
                data = b""  # a terminal that has gone
            _settle(self._loop, future, data)


class StandardOutput:
    """What goes out; each write waits until it has been taken."""

    def __init__(self, file: int = 1) -> None:
        self._loop = asyncio.get_running_loop()
        self._file = file
        self._asked: SimpleQueue[tuple[bytes, asyncio.Future[bytes]]] = SimpleQueue()
        threading.Thread(target=self._work, name="hwp-stdout", daemon=True).start()

    async def write(self, data: bytes) -> None:
        """Writes all of it.

        Raises:
            BrokenPipeError: Nobody reads it any more.
        """
        future: asyncio.Future[bytes] = self._loop.create_future()
        self._asked.put((data, future))
        if await future:
            raise BrokenPipeError

    def _work(self) -> None:
        while True:
            data, future = self._asked.get()
            try:
                while data:
                    data = data[os.write(self._file, data) :]
            except OSError:
                pass  # what is left says so
            _settle(self._loop, future, data)


def _settle(loop: asyncio.AbstractEventLoop, future: asyncio.Future[bytes], result: bytes) -> None:
    def settle() -> None:
        if not future.done():
            future.set_result(result)

    call: Callable[[], None] = settle
    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(call)
