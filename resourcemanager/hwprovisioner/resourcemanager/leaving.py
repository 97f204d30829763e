"""Instances that are there, and those that are being destroyed.

They take up room until they are gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from hwprovisioner.resourcemanager import calls
from hwprovisioner.resourcemanager.backoff import Backoff
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import Share

_log = logging.getLogger(__name__)

Task = asyncio.Task[None]

#: How long the instances of a resource that is no longer represented may take to go.
CLOSE_LIMIT_S = 60.0


@dataclass(slots=True)
class _One:
    share: Share
    task: Task
    #: Destroying it was given up.
    is_left: bool = False


class Leaving:
    """What of one resource is on its way out.

    Each is tried as often, and for as long, as cleaning is; then a person is told what is left.
    """

    def __init__(
        self,
        maker: Maker,
        tasks: asyncio.TaskGroup,
        backoff: Backoff,
        *,
        gone: Callable[[str], None],
        given_up: Callable[[str], None],
    ) -> None:
        self._maker = maker
        self._tasks = tasks
        self._backoff = backoff
        self._gone = gone
        self._given_up = given_up
        self._all: dict[str, _One] = {}
        self._news = asyncio.Event()

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._all))

    @property
    def shares(self) -> list[Share]:
        """What they still have of the resource."""
        return [one.share for one in self._all.values()]

    def add(self, name: str, share: Share, making: Task | None = None) -> None:
        """Destroy an instance, once the task that makes it has been stopped."""
        if making is not None:
            making.cancel()  # at once, or it might find itself done
        if name not in self._all:
            self._begin(name, share, making)

    def try_again(self) -> set[str]:
        """Begin anew with what was given up, and return its names."""
        left = {name: one.share for name, one in self._all.items() if one.is_left}
        for name, share in left.items():
            self._begin(name, share)
        return set(left)

    async def until_gone(self, names: Collection[str]) -> None:
        """Return once there is nothing of these any more."""
        while any(name in self._all for name in names):
            self._news.clear()
            await self._news.wait()

    async def next(self, within_s: float | None = None) -> bool:
        """Return whether one is gone or given up, as soon as one is.

        Not, if none is being destroyed or time is over.
        """
        tasks = [one.task for one in self._all.values() if not one.is_left]
        if not tasks:
            return False
        done, _ = await asyncio.wait(tasks, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)

    async def close(self) -> None:
        """Return once all are gone, or it takes too long: what is left then is in the log."""
        now = asyncio.get_running_loop().time
        deadline = now() + CLOSE_LIMIT_S
        while await self.next(max(0.0, deadline - now())):
            pass
        for name in self._all:
            words = "instance %s of %s is left: it cannot be destroyed"
            _log.error(words, name, self._maker.resource.name)
        self.stop()

    def stop(self) -> None:
        """Leave them as they are."""
        for one in self._all.values():
            one.task.cancel()

    def _begin(self, name: str, share: Share, making: Task | None = None) -> None:
        task = self._tasks.create_task(self._destroy(name, making), name=f"destroy {name}")
        self._all[name] = _One(share, task)

    async def _destroy(self, name: str, making: Task | None) -> None:
        if making is not None:
            await asyncio.wait([making])
        trouble = await self._try_to_destroy(name)
        if trouble:
            self._all[name].is_left = True
            self._given_up(f"instance {name} is left: {trouble}; it may have to be removed by hand")
            return
        del self._all[name]
        self._news.set()
        self._gone(name)

    async def _try_to_destroy(self, name: str) -> str:
        """Return why an instance is still there, once that was tried enough; empty if it is not."""
        loop, resource = asyncio.get_running_loop(), self._maker.resource
        deadline = loop.time() + resource.care.clean_within_s
        tries = 0
        while True:
            try:
                await calls.destroy(self._maker, name, lambda line: None)
                return ""
            except DriverError as error:
                tries += 1
                delay_s = self._backoff.delay_s(tries)
                words = "instance %s of %s is still there: %s"
                _log.warning(words, name, resource.name, error)
                if tries >= resource.care.clean_tries or loop.time() + delay_s >= deadline:
                    return f"{error}; tried {tries} times"
                await asyncio.sleep(delay_s)


async def existing(
    maker: Maker, backoff: Backoff, told: Callable[[str], None] = lambda why: None
) -> set[str]:
    """Return the names of all instances of a resource, as soon as they can be found out.

    Until then it is told why they cannot. That is no try that does something, so it has no limit.
    """
    tries = 0
    while True:
        try:
            return set(await calls.existing(maker))
        except DriverError as error:
            tries += 1
            delay_s = backoff.delay_s(tries)
            words = "what there is of %s is not known: %s; next try in %.1f s"
            _log.warning(words, maker.resource.name, error, delay_s)
            told(str(error))
            await asyncio.sleep(delay_s)
