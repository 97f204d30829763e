"""Keeps a view of the lab: loads it from Redis, then follows the change log.

The log is read with a blocking XREAD on a connection of its own. After anything that may have lost
changes (a cut connection, a log trimmed below what was read, a Redis that was restored from an
older copy) the view is loaded anew.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.keys import Keys, Kind
from hwprovisioner.state.link import Link
from hwprovisioner.state.model import RECORDS, Record
from hwprovisioner.state.transitions import Commit
from hwprovisioner.state.view import View

_log = logging.getLogger(__name__)

BLOCK_MS = 1000
"""A read waits so long for news, then asks again: a dead connection is found out by then."""
_BATCH = 1000
_RETRY_S = 0.2


class Follower:
    """Moves a view along with the lab."""

    def __init__(self, link: Link, keys: Keys, view: View) -> None:
        """Read over `link`, which is used for nothing else, since reads block."""
        self._link = link
        self._keys = keys
        self._view = view
        self._listeners: list[Callable[[bool], None]] = []
        self._following = asyncio.Event()

    async def following(self, patience_ms: int = 1000) -> None:
        """Wait for a moment, should the view not follow the lab just now.

        Raises:
            StateUnavailable: it still does not, so that what it shows may be old, or nothing yet.
        """
        if not self._following.is_set():
            try:
                async with asyncio.timeout(patience_ms / 1000):
                    await self._following.wait()
            except TimeoutError:
                message = "the lab's Redis is away, or not all of it has been read yet"
                raise StateUnavailable(message) from None

    def listen(self, listener: Callable[[bool], None]) -> None:
        """Tell `listener` on each change whether the view follows the lab."""
        self._listeners.append(listener)

    async def follow(self) -> None:
        """Load the view and keep it, until cancelled. Redis may go away and come back."""
        while True:
            try:
                await self._load()
                self._tell(is_following=True)
                await self._follow_log()
            except StateUnavailable as error:
                _log.warning("the view of the lab stands still: %s", error)
            finally:
                self._tell(is_following=False)
            await asyncio.sleep(_RETRY_S)

    def _tell(self, *, is_following: bool) -> None:
        if is_following:
            self._following.set()
        else:
            self._following.clear()
        for listener in self._listeners:
            listener(is_following)

    async def _load(self) -> None:
        # The revision is read before the records: whatever changes meanwhile is in the log after
        # it.
        revision = int(await self._link.call("GET", self._keys.revision) or 0)
        records: list[Record] = []
        for kind in Kind:
            records += await self._load_kind(kind)
        self._view.load(revision, records)
        _log.info("loaded %d records at revision %d", len(records), revision)

    async def _load_kind(self, kind: Kind) -> list[Record]:
        ids = [str(i) for i in await self._link.call("SMEMBERS", self._keys.index(kind))]
        record_type = RECORDS[kind]
        names = record_type.field_names()
        records = []
        for start in range(0, len(ids), _BATCH):
            calls = (
                self._link.call("HMGET", self._keys.record(kind, i), *names)
                for i in ids[start : start + _BATCH]
            )
            for values in await asyncio.gather(*calls):
                known = {n: v for n, v in zip(names, values, strict=True) if v is not None}
                if known:
                    records.append(record_type.parse(known))
        return records

    async def _follow_log(self) -> None:
        while True:
            last = f"{self._view.revision}-0"
            reply = await self._link.call(
                *("XREAD", "COUNT", _BATCH, "BLOCK", BLOCK_MS, "STREAMS", self._keys.log, last)
            )
            for commit in _commits(reply):
                self._view.offer(commit)
            if self._view.has_gap and reply:
                # Changes of our own that ran ahead of the log are in it by the next read; a gap
                # that stays after a read from below it was made by trimming.
                if await self._is_trimmed():
                    _log.warning("fell behind the change log: loading the view anew")
                    return
            elif not reply and await self._is_older_lab():
                _log.warning("Redis has an older copy of the lab: loading the view anew")
                return

    async def _is_trimmed(self) -> bool:
        first = await self._link.call("XRANGE", self._keys.log, "-", "+", "COUNT", 1)
        return bool(first) and _revision(first[0][0]) > self._view.revision + 1

    async def _is_older_lab(self) -> bool:
        return int(await self._link.call("GET", self._keys.revision) or 0) < self._view.revision


def _commits(reply: Any) -> Iterator[Commit]:  # noqa: ANN401  # what Redis answers
    if not reply:
        return
    streams = reply.items() if isinstance(reply, Mapping) else reply
    for _, entries in streams:
        for entry_id, fields in entries:
            names_and_values = iter(fields)
            values = dict(zip(names_and_values, names_and_values, strict=True))
            yield Commit(_revision(entry_id), int(values["t"]), values["e"], values["c"])


def _revision(entry_id: str) -> int:
    return int(entry_id.partition("-")[0])
