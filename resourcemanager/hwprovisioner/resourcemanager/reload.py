"""Takes over a changed resources file: when it changes, and at SIGHUP."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from watchfiles import awatch

from hwprovisioner.resourcemanager.config import Config, read_config
from hwprovisioner.resourcemanager.errors import ConfigError

_log = logging.getLogger(__name__)

# Its INFO says that something changed; what came of it is said here.
logging.getLogger("watchfiles").setLevel(logging.WARNING)


class Reloader:
    """Reads a file again when there is reason to, and passes on what is good."""

    def __init__(self, file: Path, taken: Config, take: Callable[[Config], None]) -> None:
        self._file = file
        self._taken = taken
        self._take = take
        self._stamp = _stamp(file)
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Read it again, changed or not."""
        self._asked.set()

    async def run(self) -> None:
        """Follow the file, for ever."""
        with _at_hangup(self.ask):
            async with asyncio.TaskGroup() as group:
                group.create_task(self._when_asked(), name="SIGHUP")
                group.create_task(self._when_changed(), name="resources file")

    async def _when_asked(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._reload()

    async def _when_changed(self) -> None:
        async for _ in _changes(self._file):
            stamp = await asyncio.to_thread(_stamp, self._file)
            if stamp != self._stamp:
                self._stamp = stamp
                await self._reload()

    async def _reload(self) -> None:
        try:
            config = await asyncio.to_thread(read_config, self._file)
        except ConfigError as error:
            _log.error("the changed resources file is not used, the one before stays:\n%s", error)
            return
        if config == self._taken:
            _log.info("%s: read again, nothing is different", self._file)
            return
        if config.manager_id != self._taken.manager_id:
            _log.warning("manager.id in %s takes effect at the next start", self._file)
        self._taken = config
        _log.info("%s: %d resources are represented now", self._file, len(config.resources))
        self._take(config)


async def _changes(file: Path) -> AsyncIterator[None]:
    """Yield whenever a file may have changed.

    Its folder is watched, because editors replace files. Only its own name counts there, for a log
    in the same folder would make a change of each line about a change; and `..data`, the link that
    Kubernetes swaps.
    """
    names = (file.name, "..data")
    try:
        async for _ in awatch(
            file.parent,
            watch_filter=lambda _, path: Path(path).name in names,
            recursive=False,
        ):
            yield
    except (OSError, RuntimeError) as error:
        _log.warning("%s cannot be watched (%s); send SIGHUP after a change", file, error)
        await asyncio.Event().wait()


def _stamp(file: Path) -> object:
    """Return what differs when the file was written, replaced, or a link to it was changed."""
    with contextlib.suppress(OSError):
        found = os.stat(file)
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None


@contextlib.contextmanager
def _at_hangup(do: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGHUP, do)
    except (ValueError, RuntimeError):
        yield  # not in the main thread: there are no signals to be had
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
