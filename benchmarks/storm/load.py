"""The process in which managers and clients lose their streams and come back.

Run with the numbers of both and the ports of Allocates; then it does what it is told (`Load`).
"""

import asyncio
import contextlib
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import uvloop

from benchmarks.frame.talking import listen
from benchmarks.storm.peers import Client, Manager, Peer

_AT_ONCE = 50
"""So many begin at a time: the beginning is not what is measured."""
_PATIENCE_S = 60.0
"""So long the last one is waited for."""


class Load:
    """All of them."""

    def __init__(self, managers: int, clients: int, ports: Sequence[int]) -> None:
        """Have them call the Allocates at `ports`."""
        self._peers: list[Peer] = [
            *(Manager(f"manager-{n}", ports) for n in range(managers)),
            *(Client(f"client-{n}", ports) for n in range(clients)),
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Have all ask, and wait until each was answered."""
        for start in range(0, len(self._peers), _AT_ONCE):
            some = self._peers[start : start + _AT_ONCE]
            self._tasks += [asyncio.create_task(peer.run()) for peer in some]
            for peer in some:
                await peer.heard.wait()
        for peer in self._peers:
            peer.troubles.clear()

    async def back(self) -> dict[str, Any]:
        """Wait until each has lost its stream and was answered on another, or for long enough.

        Returns:
            When each was, by the monotonic clock of this machine, and what they have met with.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_S):
                for peer in self._peers:
                    await peer.back.wait()
        troubles = Counter(each for peer in self._peers for each in peer.troubles)
        return {
            "heard_s": sorted(peer.heard_s for peer in self._peers if peer.back.is_set()),
            "ended": [peer.error for peer in self._peers if peer.error],
            "troubles": troubles.most_common(10),
        }

    def end(self) -> None:
        """Have none come back any more."""
        for task in self._tasks:
            task.cancel()


async def main() -> None:
    """See the module."""
    managers, clients, *ports = map(int, sys.argv[1:])
    load = Load(managers, clients, ports)
    await listen({"begin": load.begin, "back": load.back})
    load.end()


if __name__ == "__main__":
    uvloop.run(main())
