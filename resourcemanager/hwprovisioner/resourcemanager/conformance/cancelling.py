"""Cancels a call at the await that is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any


class Cancelled:
    """Awaits a call, and cancels it at its n-th await, counted from 1; 0 never does.

    Only awaits that wait for something count: at the others, no cancellation can come.
    """

    def __init__(self, call: Coroutine[Any, Any, Any], at: int = 0) -> None:
        self.awaits = 0
        self._call = call
        self._at = at

    def __await__(self) -> Generator[Any, Any, Any]:
        task = asyncio.current_task()
        assert task is not None
        awaiting = self._call.__await__()
        awaited = None
        failure: BaseException | None = None
        while True:
            try:
                awaited = next(awaiting) if failure is None else awaiting.throw(failure)
            except StopIteration as end:
                return end.value
            failure = None
            self.awaits += 1
            if self.awaits == self._at:
                # It comes as soon as the loop has what is awaited, as from another task.
                task.cancel()
            try:
                yield awaited
            except BaseException as error:
                failure = error


async def awaits_of(call: Coroutine[Any, Any, Any]) -> int:
    """See a call through, and return how often it waits."""
    counted = Cancelled(call)
    await counted
    return counted.awaits


async def cancel(call: Coroutine[Any, Any, Any], at: int) -> str:
    """Cancel a call at its n-th await.

    Return "" if it ended so, or before it came there; else what it did instead.
    """
    cancelled = Cancelled(call, at)

    async def run() -> None:
        await cancelled

    task = asyncio.create_task(run())
    await asyncio.wait([task])
    if task.cancelled() or cancelled.awaits < at:
        if not task.cancelled():
            task.result()
        return ""
    error = task.exception()
    return "it went on as if nothing had been" if error is None else f"it raised {error!r}"


def spread(number: int, most: int) -> list[int]:
    """Return up to `most` of the numbers from 1 on, the first and the last among them."""
    if number <= most:
        return list(range(1, number + 1))
    return sorted({1 + round(step * (number - 1) / max(1, most - 1)) for step in range(most)})
