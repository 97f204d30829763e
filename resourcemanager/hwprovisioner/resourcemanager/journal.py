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
import secrets
from pathlib import Path
from typing import Self

from hwprovisioner.resourcemanager.errors import JournalError
from hwprovisioner.resourcemanager.holds import Held
from hwprovisioner.resourcemanager.ledger import Ledger
from hwprovisioner.resourcemanager.records import (
    Forget,
    JournalId,
    NewMark,
    Pooled,
    Put,
    Record,
    Seen,
    Unpooled,
    Unreadable,
    decode,
    encode,
)
from hwprovisioner.resourcemanager.threads import Lane

_log = logging.getLogger(__name__)

#: Rewritten when it has this many more lines than it needs.
_SLACK = 1_000


class Journal(Ledger):
    """A ledger that is on disk, too. One process at a time has it open."""

    def __init__(self, path: Path, lock: int) -> None:
        super().__init__()
        self._path = path
        self._lock = lock
        self._file = -1
        self._size = 0
        self._lines = 0
        self._flushing = asyncio.Lock()
        self._lane = Lane()
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
            if not journal.id:
                journal.apply(JournalId(secrets.token_hex(8)))
            journal._rewrite()
        except BlockingIOError:
            os.close(lock)
            words = "another resource manager is using it; give each its own HWP_JOURNAL"
            raise JournalError(f"journal {path}: {words}") from None
        except OSError as error:
            os.close(lock)
            raise JournalError(f"journal {path}: {error.strerror or error}") from error
        return journal

    def looked(self, resource: str, look: int) -> None:
        """Note that the lab has asked for a look at a resource.

        Raises:
            OSError: It could not be written; after a crash an older one counts.
        """
        seen = Seen(resource, self.fence(resource), self.offered_fence(resource), look)
        self.apply(seen)
        self._append(seen)

    def note_new_mark(self) -> None:
        """Note that the manager is about to make its mark: an earlier one is not known any more.

        Raises:
            JournalError: It could not be written.
        """
        try:
            self._append(NewMark())
            os.fdatasync(self._file)
        except OSError as error:
            raise JournalError(f"journal {self._path}: {error.strerror or error}") from error

    def put(self, held: Held | Pooled) -> None:
        """Keep a hold, or an instance that is ready for one, as it is now.

        It survives a crash of this process at once, of the machine after `flush`.

        Raises:
            OSError: It could not be written, and is not kept.
        """
        self._append(Put(held) if isinstance(held, Held) else held)

    def assume(self, held: Held) -> None:
        """Keep a hold as it is now in memory only: after a crash it is found as it was put last."""
        self.apply(Put(held))

    def forget(self, hold_id: str) -> None:
        """Drop a hold; the fences of its resource stay.

        Raises:
            OSError: It could not be written, and is still kept.
        """
        if hold_id in self.holds:
            self._append(Forget(hold_id))

    def unpool(self, name: str) -> None:
        """Drop an instance that is not to be handed over any more.

        Raises:
            OSError: It could not be written; only after a crash would it be there again.
        """
        if name in self.pooled:
            self.apply(Unpooled(name))
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
                    await self._lane.call(os.fdatasync, file)
                finally:
                    os.close(file)
                self._flushed = max(self._flushed, reached)

    def close(self) -> None:
        """Give the journal up."""
        self._lane.close()
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
        self.apply(record)
        if self._lines > 2 * self.size + _SLACK:
            try:
                self._rewrite()
            except OSError as error:
                _log.warning("%s could not be rewritten, so it grows: %s", self._path, error)

    def _load(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            lines = self._path.read_bytes().splitlines(keepends=True)
            bad = 0
            for at, line in enumerate(lines):
                try:
                    self.apply(decode(line))
                except Unreadable:
                    # The last line may be cut by a crash; any other one is damage.
                    bad += at + 1 < len(lines)
            if bad:
                aside = self._path.with_name(f"{self._path.name}.damaged")
                aside.write_bytes(b"".join(lines))
                _log.error("%s: %d lines cannot be read; kept in %s", self._path, bad, aside)
                # One of them may have given an instance away, or begun a hold.
                self.distrust()

    def _rewrite(self) -> None:
        """Write what is needed to a new file and put it in the place of the old one."""
        records = self.records()
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
