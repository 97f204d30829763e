"""From a freed machine to the next grant with nothing left out: the scripts, Redis, and the view.

The parts of the service are put together as its server does, but for the network.
"""

import asyncio
import statistics
import time
from collections import deque

from benchmarks.scheduler import view_load
from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.scheduler import Scheduler
from hwprovisioner.state.allocations import Allocations
from hwprovisioner.state.care import Care
from hwprovisioner.state.follower import Follower
from hwprovisioner.state.holds import Holds
from hwprovisioner.state.keys import Keys, Kind
from hwprovisioner.state.link import Link
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.tables import AllocationState, EndReason
from hwprovisioner.state.view import Change, View
from support.redis_server import running

_ROUNDS = 200
_SPEAKER = Speaker("m", 1)


class _Service:
    """What schedules a lab, and what it has granted."""

    def __init__(self, link: Link, log_link: Link) -> None:
        keys = Keys()
        self.view = View()
        self.lab = Lab(self.view)
        self.follower = Follower(log_link, keys, self.view)
        self.allocations = Allocations(link, keys, self.view.offer)
        self.holds = Holds(link, keys, self.view.offer)
        care = Care(link, keys, self.view.offer)
        self.scheduler = Scheduler("bench", self.view, self.lab, self.allocations, care)
        self.granted: asyncio.Queue[Allocation] = asyncio.Queue()
        self.running: deque[Allocation] = deque()
        self.view.listen(self._note)

    def _note(self, change: Change | None) -> None:
        for (kind, _), changed in change.records.items() if change else ():
            after = changed.after
            if kind is Kind.ALLOCATION and isinstance(after, Allocation):
                if after.state is AllocationState.PREPARING:
                    self.granted.put_nowait(after)

    async def next_granted(self) -> None:
        """Wait until something is granted that was not seen yet."""
        self.running.append(await self.granted.get())

    async def freed_to_grant(self) -> float:
        """End an allocation; return the time from its machine's being clean to a grant, in s."""
        ended = self.running.popleft()
        [hold] = ended.holds
        await self.allocations.end(ended.id, ended.holds, EndReason.RELEASED, "")
        fence = self.view.holds[hold].fence
        start = time.perf_counter()
        await self.holds.cleaned(_SPEAKER, hold, fence)
        await self.next_granted()
        return time.perf_counter() - start


async def _measure(url: str, resources: int) -> float:
    async with Link(url) as link, Link(url) as log_link:
        service = _Service(link, log_link)
        works = service.follower.follow, service.scheduler.stand_for_election
        tasks = [asyncio.create_task(work()) for work in works]
        await service.follower.following(600_000)
        tasks.append(asyncio.create_task(service.scheduler.schedule()))
        for _ in range(resources):
            await service.next_granted()
        times = [await service.freed_to_grant() for _ in range(_ROUNDS)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return statistics.median(times) * 1e6


def measure(resources: int, requests: int) -> float:
    """Return the median time from a freed machine to the next grant in a full lab, in µs."""
    with running() as redis:
        asyncio.run(view_load.fill(redis.unix_url, resources, resources + requests))
        return asyncio.run(_measure(redis.unix_url, resources))
