"""The fake lab on an event loop of its own, for tests that block."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from support.fake_lab import FakeLab, fake_lab

Result = TypeVar("Result")


class LabInThread:
    """A fake lab on an event loop of its own, for tests that block."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.lab: FakeLab

    def _run(self) -> None:
        # Ends what is still under way, before it is found unfinished in the middle of another test.
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        async with fake_lab() as self.lab:
            self._up.set()
            await self._stop.wait()

    def call(self, work: Callable[[], Result]) -> Result:
        """Run something on the lab's loop and return what it returns."""

        async def run() -> Result:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(10)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Have something done on the lab's loop, where this must be called from."""
        self._loop.call_later(seconds, work)

    def __enter__(self) -> "LabInThread":
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


def lab_in_thread() -> Iterator[LabInThread]:
    with LabInThread() as lab:
        yield lab
