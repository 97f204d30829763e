"""What is read from Redis directly, as the view does not have it: leases, secrets, the past."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from hwprovisioner.state.errors import NoSuchAllocation, WrongToken
from hwprovisioner.state.history import History, pairs
from hwprovisioner.state.keys import Due, Keys, sha256
from hwprovisioner.state.link import Link

_REMEMBERED = 1000
"""So many connections are kept."""


class Reader:
    """Reads leases, secrets and the past."""

    def __init__(self, link: Link, keys: Keys) -> None:
        """Read over `link`."""
        self._link = link
        self._keys = keys
        self._fresh: dict[str, str] = {}

    async def revision(self) -> int:
        """Return the lab's newest revision; a view may be behind it."""
        return int(await self._link.call("GET", self._keys.revision) or 0)

    async def now_ms(self) -> int:
        """Return the time by the clock of Redis, in ms since the epoch."""
        return _ms(await self._link.call("TIME"))

    async def remaining_ms(self, allocation_ids: Sequence[str]) -> Mapping[str, int]:
        """Return what leases have left, in ms; ended allocations have none."""
        if not allocation_ids:
            return {}
        scores, time = await self._link.call_all(self._lease_commands(allocation_ids))
        return _remaining_ms(allocation_ids, scores, time)

    def _lease_commands(self, allocation_ids: Iterable[str]) -> Sequence[Sequence[str]]:
        members = [f"{Due.LEASE}:{allocation_id}" for allocation_id in allocation_ids]
        return [("ZMSCORE", self._keys.deadlines, *members), ("TIME",)]

    async def history(self) -> History:
        """Return what the lab remembers of its past."""
        hashes = (self._keys.use, self._keys.waits, self._keys.spans)
        replies = await asyncio.gather(*(self._link.call("HGETALL", key) for key in hashes))
        return History.of(*map(pairs, replies))

    async def outcomes(self, resources: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """Return the newest outcomes of resources, oldest first, as `outcomes.lua` writes them.

        Those that have none are left out.
        """
        names = list(resources)
        found = await asyncio.gather(
            *(self._link.call("HGET", self._keys.resource(name), "outcomes") for name in names)
        )
        return {
            name: tuple(str(text).split(","))
            for name, text in zip(names, found, strict=True)
            if text
        }

    async def submitted(self, request_id: str) -> tuple[str, str] | None:
        """Return the allocation that a request id has made and its digest, None if it is new."""
        known = await self._link.call("GET", self._keys.request(request_id))
        if known is None:
            return None
        allocation_id, _, digest = str(known).partition(" ")
        return allocation_id, digest

    async def check_token(self, allocation_id: str, token: str) -> int | None:
        """Refuse a token that is not the allocation's.

        Returns:
            What its lease has left, in ms; None if it has ended.

        Raises:
            NoSuchAllocation: there is none of that id.
            WrongToken: the token is another's.
        """
        stored, scores, time = await self._link.call_all(
            [
                ("HGET", self._keys.allocation(allocation_id), "token_sha"),
                *self._lease_commands([allocation_id]),
            ]
        )
        if stored is None:
            raise NoSuchAllocation(allocation_id)
        if stored != sha256(token):
            raise WrongToken(allocation_id)
        return _remaining_ms([allocation_id], scores, time).get(allocation_id)

    def remember_connection(self, hold_id: str, connection: str) -> None:
        """Keep a connection that was just written, so that it need not be read to hand it out."""
        self._fresh[hold_id] = connection
        while len(self._fresh) > _REMEMBERED:
            self._fresh.pop(next(iter(self._fresh)))

    def forget_connections(self) -> None:
        """Read all of them anew: the lab may have lost something, and what has an id is another."""
        self._fresh.clear()

    async def connections(self, hold_ids: Iterable[str]) -> Mapping[str, str]:
        """Return connections of ready holds, as JSON; only for whoever has the token."""
        ids = list(hold_ids)
        found = {i: self._fresh[i] for i in ids if i in self._fresh}
        missing = [i for i in ids if i not in found]
        texts = await asyncio.gather(
            *(self._link.call("HGET", self._keys.hold(i), "connection") for i in missing)
        )
        return found | {
            i: str(text) for i, text in zip(missing, texts, strict=True) if text is not None
        }


def _remaining_ms(
    allocation_ids: Iterable[str], deadlines: Iterable[str | None], time: Sequence[object]
) -> Mapping[str, int]:
    now_ms = _ms(time)
    return {
        allocation_id: max(0, int(float(deadline_ms)) - now_ms)
        for allocation_id, deadline_ms in zip(allocation_ids, deadlines, strict=True)
        if deadline_ms is not None
    }


def _ms(time: Sequence[object]) -> int:
    seconds, microseconds = map(int, map(str, time))
    return seconds * 1000 + microseconds // 1000
