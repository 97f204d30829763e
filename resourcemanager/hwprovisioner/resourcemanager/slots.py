"""Bounds how much is begun at once, without waiting for what turns out to be slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

#: Whatever takes longer is slow, and makes room for others while it goes on.
PATIENCE_S = 2.0


class Slots:
    """So many places; who stays longer than others' patience lasts has none any more."""

    def __init__(self, count: int, patience_s: float = PATIENCE_S) -> None:
        self._free = asyncio.Semaphore(count)
        self._patience_s = patience_s

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Wait for a place, and have it for a while."""
        await self._free.acquire()
        is_mine = True

        def give_back() -> None:
            nonlocal is_mine
            if is_mine:
                is_mine = False
                self._free.release()

        timer = asyncio.get_running_loop().call_later(self._patience_s, give_back)
        try:
            yield
        finally:
            timer.cancel()
            give_back()
