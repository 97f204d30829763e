"""Children started row by row, and stopped the other way round."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from .child import Child, Console
from .errors import SuiteError


class Wishes:
    """What the user has asked for so far: to stop, then to stop at once."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.stop_at_once = asyncio.Event()

    def heard(self) -> None:
        """Take a signal: the first asks, the second insists."""
        (self.stop_at_once if self.stop.is_set() else self.stop).set()


@contextlib.asynccontextmanager
async def wishes_by_signal() -> AsyncIterator[Wishes]:
    """Hear SIGINT, SIGTERM and SIGHUP."""
    wishes = Wishes()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for each in signals:
        loop.add_signal_handler(each, wishes.heard)
    try:
        yield wishes
    finally:
        for each in signals:
            loop.remove_signal_handler(each)


class Supervisor:
    """Runs rows of children: each row when the one before is ready.

    Args:
        rows: in the order of their start; those of a row start and stop together.
        wishes: of the user. `stop` is also set when a child fails for good.
        console: told what happens.
    """

    def __init__(self, rows: Sequence[Sequence[Child]], wishes: Wishes, console: Console) -> None:
        self._rows = rows
        self._wishes = wishes
        self._console = console
        self._failure: SuiteError | None = None

    @property
    def children(self) -> list[Child]:
        """All of them, in the order of their start."""
        return [child for row in self._rows for child in row]

    async def run(self, when_ready: Callable[[], None]) -> None:
        """Run all until the user wishes to stop, then stop all.

        Raises:
            SuiteError: a child failed for good; the others have been stopped.
        """
        async with asyncio.TaskGroup() as group:
            try:
                if await self._start(group):
                    when_ready()
                    await self._wishes.stop.wait()
            finally:
                self._wishes.stop.set()
                await self._stop(group)
        if self._failure:
            raise self._failure

    def fail(self, error: SuiteError) -> None:
        """Stop because of an error, which `run` raises; only the first counts."""
        self._failure = self._failure or error
        self._wishes.stop.set()

    async def _start(self, group: asyncio.TaskGroup) -> bool:
        """Start all, and return whether they are ready; otherwise it is time to stop."""
        for row in self._rows:
            for child in row:
                group.create_task(self._keep(child), name=child.program.name)
            if not await self._unless_stopped(child.ready for child in row):
                return False
        return True

    async def _keep(self, child: Child) -> None:
        try:
            await child.run()
        except SuiteError as error:
            self.fail(error)

    async def _unless_stopped(self, events: Iterable[asyncio.Event]) -> bool:
        ready = asyncio.ensure_future(_all_set(events))
        stop = asyncio.ensure_future(self._wishes.stop.wait())
        try:
            await asyncio.wait([ready, stop], return_when=asyncio.FIRST_COMPLETED)
            return not self._wishes.stop.is_set()
        finally:
            ready.cancel()
            stop.cancel()

    async def _stop(self, group: asyncio.TaskGroup) -> None:
        self._console.say("stopping; Ctrl-C again stops at once")
        insisted = group.create_task(self._kill_all_when_insisted(), name="insisted")
        for row in reversed(self._rows):
            for child in reversed(row):
                await child.stop()
        insisted.cancel()

    async def _kill_all_when_insisted(self) -> None:
        await self._wishes.stop_at_once.wait()
        self._console.say("stopping at once")
        for child in self.children:
            child.kill()


async def _all_set(events: Iterable[asyncio.Event]) -> None:
    for event in list(events):
        await event.wait()
