"""Cutting off callers that do not read what they are told.

One timer looks after all writes of a server: with one for each, ten thousand callers who come at
once would cost a twentieth more.
"""

import asyncio
from typing import Any

import grpc.aio

from hwprovisioner.serving.errors import Refused

_LOOKS = 4
"""So often it is looked within the limit."""


class Writing:
    """Writes responses, each of which waits while its caller does not read, but not for ever."""

    def __init__(self, limit_s: float) -> None:
        """Give a caller up that has not read for `limit_s`, or for up to a quarter longer."""
        self._limit_s = limit_s
        self._begun: dict[asyncio.Task[Any], float] = {}
        """Who writes and since when, by the clock of the loop; who began first comes first."""
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def write(self, context: "grpc.aio.ServicerContext[Any, Any]", response: Any) -> None:  # noqa: ANN401
        """Write a response; a task writes one at a time.

        Raises:
            Refused: NOT_READ. What the caller missed it can ask for again.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._begun[task] = loop.time()
        if self._timer is None:
            self._look_later(loop)
        try:
            await context.write(response)
        except asyncio.CancelledError:
            # If somebody else has cancelled it as well, it is to end for that.
            if task not in self._late or task.uncancel():
                raise
            said = (
                f"nothing was read for {self._limit_s:g} s: read what comes, or watch again later"
            )
            raise Refused("NOT_READ", said) from None
        finally:
            del self._begun[task]
            self._late.discard(task)

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self._limit_s / _LOOKS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for task, begun_s in self._begun.items():
            if loop.time() - begun_s < self._limit_s:
                break
            if task not in self._late:
                self._late.add(task)
                task.cancel()
        if self._begun:
            self._look_later(loop)
