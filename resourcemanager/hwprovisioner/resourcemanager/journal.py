"""The holds that this manager has in hand, and what it keeps ready for others, on disk.

A file of lines (records.py) that is only appended to, and rewritten when most of it is outdated. A
line that a crash cut is dropped: what it would have said was not acted on yet, because work begins
only after `flush`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Self

from hwprovisioner.resourcemanager.errors import JournalError
from hwprovisioner.resourcemanager.holds import Held, Phase
from hwprovisioner.resourcemanager.records import (
    Forget,
    Pooled,
    Put,
    Record,
    Seen,
    Unpooled,
    Unreadable,
    decode,
    encode,
)

_log = logging.getLogger(__name__)

#: How many cleaned holds are remembered, so that a repeated release is answered without cleaning
#: again.
CLEANED_KEPT = 256
#: Rewritten when it has this many more lines than it needs.
_SLACK = 1_000


class Journal:
    """Holds and fences, on disk and at hand. One process at a time has it open."""

    def __init__(self, path: Path, lock: int) -> None:
        self._path = path
        self._lock = lock
        self._file = -1
        self._size = 0
        self._lines = 0
        self._holds: dict[str, Held] = {}
        self._by_resource: dict[str, set[str]] = {}
        # In the order in which they were cleaned; the values say nothing.
        self._cleaned: dict[str, None] = {}
        self._fences: dict[str, int] = {}
        self._offered: dict[str, int] = {}
        self._looks: dict[str, int] = {}
        self._pooled: dict[str, Pooled] = {}
        self._flushing = asyncio.Lock()
        self._written = 0
        self._flushed = 0

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a journal, which is made if it is not there, and lock it until `close`.

        Raises:
            JournalError: Another manager has it, or the folder cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"journal {path}: {error.strerror or error}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            journal = cls(path, lock)
            journal._load()
            journal._rewrite()
        except BlockingIOError:
            os.close(lock)
            words = "another resource manager is using it; give each its own HWP_JOURNAL"
            raise JournalError(f"journal {path}: {words}") from None
        except OSError as error:
            os.close(lock)
            raise JournalError(f"journal {path}: {error.strerror or error}") from error
        return journal

    @property
    def holds(self) -> Mapping[str, Held]:
        """Every hold by its id, the cleaned ones that are remembered too."""
        return MappingProxyType(self._holds)

    def of(self, resource: str) -> Iterator[Held]:
        """Yield the holds of a resource."""
        return (self._holds[hold_id] for hold_id in self._by_resource.get(resource, ()))

    @property
    def pooled(self) -> Mapping[str, Pooled]:
        """Every instance that can be handed over, by its name.

        One leaves with the very line that gives it to a hold, so none is ever handed over twice.
        """
        return MappingProxyType(self._pooled)

    def fence(self, resource: str) -> int:
        """Return the highest fence seen for a resource, 0 if none was."""
        return self._fences.get(resource, 0)

    def offered_fence(self, resource: str) -> int:
        """Return the highest fence of the offers of a resource that were taken, 0 if none was."""
        return self._offered.get(resource, 0)

    def look(self, resource: str) -> int:
        """Return the number of the newest look that the lab has asked for, 0 if it never has."""
        return self._looks.get(resource, 0)

    def looked(self, resource: str, look: int) -> None:
        """Note that the lab has asked for a look at a resource.

        Raises:
            OSError: It could not be written; after a crash an older one counts.
        """
        self._looks[resource] = look
        self._append(self._seen(resource))

    def put(self, held: Held | Pooled) -> None:
        """Keep a hold, or an instance that is ready for one, as it is now.

        It survives a crash of this process at once, of the machine after `flush`.

        Raises:
            OSError: It could not be written, and is not kept.
        """
        self._append(Put(held) if isinstance(held, Held) else held)

    def assume(self, held: Held) -> None:
        """Keep a hold as it is now in memory only: after a crash it is found as it was put last."""
        self._apply(Put(held))

    def forget(self, hold_id: str) -> None:
        """Drop a hold; the fences of its resource stay.

        Raises:
            OSError: It could not be written, and is still kept.
        """
        if hold_id in self._holds:
            self._append(Forget(hold_id))

    def unpool(self, name: str) -> None:
        """Drop an instance that is not to be handed over any more.

        Raises:
            OSError: It could not be written; only after a crash would it be there again.
        """
        if self._pooled.pop(name, None) is not None:
            self._append(Unpooled(name))

    async def flush(self) -> None:
        """Return once everything that was put so far is on disk.

        Calls at the same time share the wait.

        Raises:
            OSError: It could not be brought there.
        """
        wanted = self._written
        async with self._flushing:
            if self._flushed < wanted:
                reached = self._written
                # A descriptor of its own: a rewrite may close the other one meanwhile.
                file = os.dup(self._file)
                try:
                    await asyncio.to_thread(os.fdatasync, file)
                finally:
                    os.close(file)
                self._flushed = max(self._flushed, reached)

    def close(self) -> None:
        """Give the journal up."""
        for descriptor in (self._file, self._lock):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _append(self, record: Record) -> None:
        data = encode(record)
        try:
            if os.write(self._file, data) != len(data):
                raise OSError(errno.ENOSPC, "the journal could only be written in part")
        except OSError:
            # Half a line would spoil the next one.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise
        self._size += len(data)
        self._written += len(data)
        self._lines += 1
        self._apply(record)
        needed = len(self._holds) + len(self._fences) + len(self._pooled)
        if self._lines > 2 * needed + _SLACK:
            try:
                self._rewrite()
            except OSError as error:
                _log.warning("%s could not be rewritten, so it grows: %s", self._path, error)

    def _apply(self, record: Record) -> None:
        match record:
            case Put(held):
                self._keep(held)
            case Forget(hold_id):
                self._drop(hold_id)
            case Seen(resource, fence, offered, look):
                self._fences[resource] = max(fence, self.fence(resource))
                self._offered[resource] = max(offered, self.offered_fence(resource))
                self._looks[resource] = look
            case Pooled(_, instance):
                self._pooled[instance.name] = record
            case Unpooled(name):
                self._pooled.pop(name, None)

    def _seen(self, resource: str) -> Seen:
        offered, look = self.offered_fence(resource), self.look(resource)
        return Seen(resource, self.fence(resource), offered, look)

    def _keep(self, held: Held) -> None:
        hold = held.hold
        self._drop(hold.id)
        self._pooled.pop(hold.pooled, None)
        self._holds[hold.id] = held
        self._by_resource.setdefault(hold.resource, set()).add(hold.id)
        self._fences[hold.resource] = max(hold.fence, self.fence(hold.resource))
        if held.phase not in (Phase.CLEANING, Phase.DIRTY, Phase.CLEANED):
            # Its end raises the fence of a hold; until then it is the offer's.
            offered = max(hold.fence, self.offered_fence(hold.resource))
            self._offered[hold.resource] = offered
        if not held.is_live:
            self._cleaned[hold.id] = None
            if len(self._cleaned) > CLEANED_KEPT:
                self._drop(next(iter(self._cleaned)))

    def _drop(self, hold_id: str) -> None:
        held = self._holds.pop(hold_id, None)
        self._cleaned.pop(hold_id, None)
        if held is not None:
            of_resource = self._by_resource[held.hold.resource]
            of_resource.discard(hold_id)
            if not of_resource:
                del self._by_resource[held.hold.resource]

    def _load(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            lines = self._path.read_bytes().splitlines(keepends=True)
            bad = 0
            for at, line in enumerate(lines):
                try:
                    self._apply(decode(line))
                except Unreadable:
                    # The last line may be cut by a crash; any other one is damage.
                    bad += at + 1 < len(lines)
            if bad:
                aside = self._path.with_name(f"{self._path.name}.damaged")
                aside.write_bytes(b"".join(lines))
                _log.error("%s: %d lines cannot be read; kept in %s", self._path, bad, aside)
                # One of them may have given an instance away.
                self._pooled.clear()

    def _rewrite(self) -> None:
        """Write what is needed to a new file and put it in the place of the old one."""
        records: list[Record] = [*map(self._seen, self._fences), *map(Put, self._holds.values())]
        records += self._pooled.values()
        data = b"".join(encode(record) for record in records)
        new = self._path.with_name(f"{self._path.name}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        file = os.open(new, flags, 0o600)
        try:
            with open(file, "wb", closefd=False) as stream:
                stream.write(data)
            os.fsync(file)
            os.replace(new, self._path)
            _sync_folder(self._path.parent)
        except OSError:
            os.close(file)
            raise
        old, self._file = self._file, file
        if old >= 0:
            os.close(old)
        self._size, self._lines = len(data), len(records)
        self._flushed = self._written


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
