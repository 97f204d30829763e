"""Leases in Redis, put there as Allocate does, and what the change log says of their ends."""

import asyncio
import dataclasses
import json
from collections.abc import Sequence

from hwprovisioner.allocate.intake import new_allocation
from hwprovisioner.state.allocations import Allocations
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.state.transitions import Commit
from hwprovisioner.v1.allocation_pb2 import Requestor
from hwprovisioner.v1.demand_pb2 import Demands, HostDemand

HOUR_MS = 3_600_000
_AT_ONCE = 1000
_LOOK_S = 0.5
"""Reading the log keeps Redis busy: not before the last lease should have ended."""
_TOKEN = "bench"  # noqa: S105
_ASKED = new_allocation(
    Demands(hosts={"host": HostDemand(cpus="1")}), Requestor(user="bench"), ttl_ms=HOUR_MS
)


class Leases:
    """Those of requests that wait: the first of all has the only resource."""

    def __init__(self, redis_url: str) -> None:
        """Put them into one Redis."""
        self._url = redis_url
        self._keys = Keys()
        self._count = 0

    def live(self, count: int) -> None:
        """Have so many that go on for an hour."""
        asyncio.run(self._live(count))

    def lateness_ms(self, ttls_ms: Sequence[int], patience_s: float = 5.0) -> list[int]:
        """Have some that end, wait for that, and return how late each did, by the change log.

        Raises:
            TimeoutError: one has not, so long after the last should have.
        """
        return asyncio.run(self._lateness_ms(ttls_ms, patience_s))

    async def _live(self, count: int) -> None:
        async with Link(self._url, timeout_ms=60_000) as link:
            for start in range(0, count, _AT_ONCE):
                await self._submit(link, [HOUR_MS] * min(_AT_ONCE, count - start))

    async def _lateness_ms(self, ttls_ms: Sequence[int], patience_s: float) -> list[int]:
        async with Link(self._url, timeout_ms=60_000) as link:
            due = await self._submit(link, ttls_ms)
            ended: dict[str, int] = {}
            async with asyncio.timeout(max(ttls_ms) / 1000 + patience_s):
                await asyncio.sleep(max(ttls_ms) / 1000)
                while not due.keys() <= ended.keys():
                    await asyncio.sleep(_LOOK_S)
                    ended = await self._ended(link, 2 * len(due))
        return [ended[name] - at_ms for name, at_ms in due.items()]

    async def _submit(self, link: Link, ttls_ms: Sequence[int]) -> dict[str, int]:
        """Queue one for each TTL, and return when each is due."""
        ttl_of = {f"bench{self._count + n}": ttl_ms for n, ttl_ms in enumerate(ttls_ms)}
        self._count += len(ttl_of)
        due: dict[str, int] = {}

        def note(commit: Commit) -> None:
            [[_, name, _fields]] = json.loads(commit.changes)
            due[name] = commit.time_ms + ttl_of[name]

        allocations = Allocations(link, self._keys, note)
        new = [dataclasses.replace(_ASKED, id=name, ttl_ms=ttl) for name, ttl in ttl_of.items()]
        calls = (
            allocations.submit(each, token=_TOKEN, request_id=each.id, digest="bench")
            for each in new
        )
        await asyncio.gather(*calls)
        return due

    async def _ended(self, link: Link, newest: int) -> dict[str, int]:
        """Return which ended when, of those whose end is among the newest changes."""
        found: dict[str, int] = {}
        log = await link.call("XREVRANGE", self._keys.log, "+", "-", "COUNT", newest)
        for _, fields in log:
            values = dict(zip(fields[::2], fields[1::2], strict=True))
            if values["e"] == "expire":
                found |= {name: int(values["t"]) for _, name, _ in json.loads(values["c"])}
        return found
