"""The tasks of one session: a bug in one is told, instead of being silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine


class Tasks:
    """What runs at present."""

    def __init__(self, on_fault: Callable[[Exception], None]) -> None:
        """`on_fault` is told what a task died of, from within its `except`."""
        self._on_fault = on_fault
        self._running: set[asyncio.Task[None]] = set()

    def __bool__(self) -> bool:
        return bool(self._running)

    def start(self, work: Coroutine[None, None, None], name: str) -> None:
        """Begins one more."""
        task = asyncio.create_task(self._supervised(work), name=f"hwp-{name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def end(self) -> None:
        """Cancels all of them, and waits until they have ended."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _supervised(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as error:
            self._on_fault(error)
