"""The two ends of a channel, and what is on its way between them.

Both ends at one replica have each other's queues. Ends at two replicas meet in Redis
(`state/channels.py`). Either way `send` waits while there is no room, so that whoever writes too
fast is not read for that long, and no more is kept than that.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Coroutine, Iterable
from typing import Any, Protocol

from hwprovisioner.state.channels import LIFE_MS, ROOM, Channels, Gone, Piece, Side
from hwprovisioner.state.errors import StateUnavailable

TOUCH_S = 5.0
"""How often each end says that it is there; who waits looks again that often, signal or not."""
_SILENT_MS = LIFE_MS - 5000
"""An end that has not said so for that long has gone."""


class End(Protocol):
    """One end of a channel."""

    async def send(self, piece: Piece) -> None:
        """Send a piece, once there is room; raises `Gone` if the other end has."""
        ...

    async def receive(self) -> Piece:
        """Wait for the next piece; raises `Gone` if the other end has gone."""
        ...


class _Pipe:
    """One direction, within one process."""

    def __init__(self) -> None:
        self._pieces: deque[Piece] = deque()
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()
        self._is_broken = False

    async def put(self, piece: Piece) -> None:
        while len(self._pieces) >= ROOM and not self._is_broken:
            self._emptied.clear()
            await self._emptied.wait()
        if self._is_broken:
            raise Gone
        self._pieces.append(piece)
        self._filled.set()

    async def get(self) -> Piece:
        while not self._pieces and not self._is_broken:
            self._filled.clear()
            await self._filled.wait()
        if self._is_broken:
            raise Gone
        self._emptied.set()
        return self._pieces.popleft()

    def cut(self) -> None:
        self._is_broken = True
        self._pieces.clear()
        self._filled.set()
        self._emptied.set()


class NearEnd:
    """An end whose other end is in this process."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    async def send(self, piece: Piece) -> None:
        """As `End`."""
        await self._outgoing.put(piece)

    async def receive(self) -> Piece:
        """As `End`."""
        return await self._incoming.get()

    def cut(self) -> None:
        """End the channel; whoever waits at either end is told."""
        self._incoming.cut()
        self._outgoing.cut()


def near_ends() -> tuple[NearEnd, NearEnd]:
    """Return both ends of a channel within this process."""
    one, other = _Pipe(), _Pipe()
    return NearEnd(one, other), NearEnd(other, one)


class FarEnd:
    """An end whose other end is at another replica."""

    def __init__(self, channels: Channels, channel_id: str, side: Side) -> None:
        """Be the `side` of a channel that has been claimed."""
        self._channels = channels
        self._id = channel_id
        self._side = side
        self._received: deque[Piece] = deque()
        self._sent = 0
        self._pulled = 0
        self._has_news = asyncio.Event()
        self._has_room = asyncio.Event()
        self._sending = asyncio.Lock()

    def wake(self) -> None:
        """Look again, whatever is waited for."""
        self._has_news.set()
        self._has_room.set()

    async def send(self, piece: Piece) -> None:
        """As `End`."""
        async with self._sending:
            self._sent += 1
            while True:
                self._has_room.clear()
                if await self._channels.push(self._id, self._side, self._sent, piece):
                    return
                await _woken(self._has_room)

    async def receive(self) -> Piece:
        """As `End`."""
        while not self._received:
            self._has_news.clear()
            # What was pulled before has been handed on, and is dropped there.
            pulled = await self._channels.pull(self._id, self._side, self._pulled)
            self._pulled += len(pulled)
            self._received.extend(pulled)
            if not pulled:
                await _woken(self._has_news)
        return self._received.popleft()


async def keep_touching(
    channels: Channels, channel_id: str, allocation_id: str, side: Side
) -> None:
    """Say now and then that an end is there, until the other has gone or the channel has.

    Raises:
        Gone: so it is; always.
    """
    while True:
        with contextlib.suppress(StateUnavailable):
            age_ms = await channels.touch(channel_id, allocation_id, side)
            check_is_there(age_ms or 0)
        await asyncio.sleep(TOUCH_S)


def check_is_there(age_ms: int) -> None:
    """Raise `Gone` if an end that said so long ago that it is there must have gone."""
    if age_ms > _SILENT_MS:
        raise Gone


async def side_by_side(
    works: Iterable[Coroutine[Any, Any, None]], watches: Iterable[Coroutine[Any, Any, None]] = ()
) -> None:
    """Do all `works`. What one of them raises, or one of `watches` meanwhile, ends all of it."""
    working = {asyncio.create_task(work) for work in works}
    every = working | {asyncio.create_task(watch) for watch in watches}
    pending = every
    try:
        while working & pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in every:
            task.cancel()
        await asyncio.gather(*every, return_exceptions=True)


async def _woken(event: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(TOUCH_S):
            await event.wait()
