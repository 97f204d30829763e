"""What can only block, in threads of its own.

asyncio's own are few, and shared: what hangs in them would hold up all resources of the manager.
Nobody waits for a thread at the manager's end.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import queue
import threading
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


async def in_thread(call: Callable[P, T], *args: P.args, **words: P.kwargs) -> T:
    """Call in a thread. If the caller is cancelled, the thread goes on, and nobody hears of it."""
    run, answer = _answered(functools.partial(call, *args, **words))
    threading.Thread(target=run, name="hwp", daemon=True).start()
    return await answer


class Lane:
    """A thread that is kept, for what is done again and again.

    To start one takes longer than to bring a line to the disk.
    """

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._is_there = False

    async def call(self, call: Callable[P, T], *args: P.args, **words: P.kwargs) -> T:
        """Call in it, after what it was given before; otherwise as `in_thread`."""
        if not self._is_there:
            self._is_there = True
            threading.Thread(target=self._run, name="hwp lane", daemon=True).start()
        run, answer = _answered(functools.partial(call, *args, **words))
        self._calls.put(run)
        return await answer

    def close(self) -> None:
        """End it, once it has done what it was given."""
        self._calls.put(None)

    def _run(self) -> None:
        while (run := self._calls.get()) is not None:
            run()


def _answered(call: Callable[[], T]) -> tuple[Callable[[], None], asyncio.Future[T]]:
    """Return what makes a call in whatever thread, and where its answer comes."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(do: Callable[[], None]) -> None:
        if not answer.done():
            do()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # the caller's to deal with
            done = functools.partial(answer.set_exception, error)
        else:
            done = functools.partial(answer.set_result, result)
        # The loop may have ended meanwhile.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, done)

    return run, answer


async def seen_through(work: Awaitable[T]) -> T:
    """Return what comes of work that is not to be cut: whoever is cancelled still waits for it.

    So nothing is made that nobody finds, because it was not there yet when it was looked for.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # seen
        raise
