"""Keeps a view of the lab: loads it from Redis, then follows the change log.

The log is read with a blocking XREAD on a connection of its own. After anything that may have lost
changes (a cut connection, a log trimmed below what was read, a Redis that was restored from an
older copy) the view is loaded anew.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.keys import Keys, Kind
from hwprovisioner.state.link import Link
from hwprovisioner.state.model import RECORDS
from hwprovisioner.state.record import Record
from hwprovisioner.state.transitions import Commit
from hwprovisioner.state.view import View

_log = logging.getLogger(__name__)

BLOCK_MS = 1000
"""A read waits so long for news, then asks again: a dead connection is found out by then."""
_BATCH = 1000
_RETRY_S = 0.2
_READING_TRIES = 15
"""So often whoever waits for a lab that is being read is patient anew."""


class Follower:
    """Moves a view along with the lab."""

    def __init__(
        self, link: Link, keys: Keys, view: View, on_older: Callable[[], None] = lambda: None
    ) -> None:
        """Read over `link`, which is used for nothing else, since reads block.

        `on_older` is told when Redis has an older copy under the same connection, or none at all:
        it was flushed, say.
        """
        self._on_older = on_older
        self._link = link
        self._keys = keys
        self._view = view
        self._listeners: list[Callable[[bool], None]] = []
        self._following = asyncio.Event()

    async def following(self, patience_ms: int = 1000) -> None:
        """Wait for a moment if the view does not follow the lab just now, for longer if it will.

        Who comes while all of it is read, as when a replica has just started, is not sent away,
        only to come again.

        Raises:
            StateUnavailable: Redis is away, or it takes too long to read the lab.
        """
        for _ in range(_READING_TRIES):
            if await self._follows_within(patience_ms):
                return
            if self._link.tried and not self._link.connected:
                break
        message = "the lab's Redis is away, or not all of it has been read yet"
        raise StateUnavailable(message)

    async def _follows_within(self, patience_ms: int) -> bool:
        if not self._following.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_ms / 1000):
                    await self._following.wait()
        return self._following.is_set()

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
        while True:
            # The revision is read before the records, the log after them: whatever has changed
            # meanwhile is in the log.
            revision = await self._lab_revision()
            # All kinds at once: while one is parsed, Redis looks up the next.
            kinds = await asyncio.gather(*(self._load_kind(kind) for kind in Kind))
            records = [record for found in kinds for record in found]
            entries = await self._link.call("XRANGE", self._keys.log, f"({revision}-0", "+")
            commits = [_commit(entry) for entry in entries]
            if not commits or commits[0].revision == revision + 1:
                break
            _log.warning("the change log does not go on from what was read: once more")
        self._view.load(revision, records, commits)
        _log.info("loaded %d records at revision %d", len(records), self._view.revision)

    async def _load_kind(self, kind: Kind) -> list[Record]:
        ids = [str(i) for i in await self._link.call("SMEMBERS", self._keys.index(kind))]
        record_type = RECORDS[kind]
        names = record_type.field_names()
        identity = names.index(record_type.identity)
        records = []
        for start in range(0, len(ids), _BATCH):
            keys = [self._keys.record(kind, i) for i in ids[start : start + _BATCH]]
            rows = await self._link.call_each("HMGET", keys, *names)
            records += [record_type.from_row(row) for row in rows if row[identity] is not None]
        return records

    async def _follow_log(self) -> None:
        while True:
            last = self._view.revision
            reply = await self._link.call(
                *("XREAD", "COUNT", _BATCH, "BLOCK", BLOCK_MS),
                *("STREAMS", self._keys.log, f"{last}-0"),
            )
            if not reply:
                if await self._lab_revision() < last:
                    _log.warning("Redis has an older copy of the lab: loading the view anew")
                    self._on_older()
                    return
                continue
            [[_, entries]] = reply
            # The log is written in order, so what is not in it next will never be.
            if _commit(entries[0]).revision != last + 1:
                _log.warning("fell behind the change log: loading the view anew")
                return
            for entry in entries:
                self._view.offer(_commit(entry))

    async def _lab_revision(self) -> int:
        return int(await self._link.call("GET", self._keys.revision) or 0)


def _commit(entry: Any) -> Commit:  # noqa: ANN401  # what Redis answers
    entry_id, fields = entry
    names_and_values = iter(fields)
    values = dict(zip(names_and_values, names_and_values, strict=True))
    revision = int(entry_id.partition("-")[0])
    return Commit(revision, int(values["t"]), values["e"], values["c"])
