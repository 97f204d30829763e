"""What is read from Redis directly, because the view does not have it: leases and secrets."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from hwprovisioner.state.errors import NoSuchAllocation, WrongToken
from hwprovisioner.state.keys import Due, Keys, sha256
from hwprovisioner.state.transitions import Caller


class Reader:
    """Reads leases and secrets."""

    def __init__(self, link: Caller, keys: Keys) -> None:
        """Read over `link`."""
        self._link = link
        self._keys = keys

    async def remaining_ms(self, allocation_ids: Sequence[str]) -> Mapping[str, int]:
        """Return what leases have left, in ms; ended allocations have none."""
        if not allocation_ids:
            return {}
        members = [f"{Due.LEASE}:{allocation_id}" for allocation_id in allocation_ids]
        scores, time = await asyncio.gather(
            self._link.call("ZMSCORE", self._keys.deadlines, *members), self._link.call("TIME")
        )
        now_ms = int(time[0]) * 1000 + int(time[1]) // 1000
        return {
            allocation_id: max(0, int(float(score)) - now_ms)
            for allocation_id, score in zip(allocation_ids, scores, strict=True)
            if score is not None
        }

    async def submitted(self, request_id: str) -> str | None:
        """Return the allocation that a request id has made, None if it is new."""
        known = await self._link.call("GET", self._keys.request(request_id))
        return None if known is None else str(known).partition(" ")[0]

    async def check_token(self, allocation_id: str, token: str) -> None:
        """Refuse a token that is not the allocation's.

        Raises:
            NoSuchAllocation: there is none of that id.
            WrongToken: the token is another's.
        """
        stored = await self._link.call("HGET", self._keys.allocation(allocation_id), "token_sha")
        if stored is None:
            raise NoSuchAllocation(allocation_id)
        if stored != sha256(token):
            raise WrongToken(allocation_id)

    async def connections(self, hold_ids: Iterable[str]) -> Mapping[str, str]:
        """Return connections of ready holds, as JSON; only for whoever has the token."""
        ids = list(hold_ids)
        found = await asyncio.gather(
            *(self._link.call("HGET", self._keys.hold(i), "connection") for i in ids)
        )
        return {i: str(text) for i, text in zip(ids, found, strict=True) if text is not None}
