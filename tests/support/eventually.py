"""Waiting for what Redis or the network does: by looking again, with a limit."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

INTERVAL_S = 0.01


async def eventually(check: Callable[[], Awaitable[Any] | Any], *, within: float = 40.0) -> Any:
    """Call `check` until it returns something true, and return that.

    A check that raises AssertionError is not true yet; its error is shown if it never is.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        failure: AssertionError | None = None
        result: Any = None
        try:
            result = check()
            if inspect.isawaitable(result):
                result = await result
        except AssertionError as error:
            failure = error
        if failure is None and result:
            return result
        if loop.time() > deadline:
            raise failure or AssertionError(f"not within {within} s; last seen: {result!r}")
        await asyncio.sleep(INTERVAL_S)
