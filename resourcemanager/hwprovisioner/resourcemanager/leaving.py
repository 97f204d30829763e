"""Instances that are there, and those that are being destroyed.

They take up room until they are gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hwprovisioner.resourcemanager import calls
from hwprovisioner.resourcemanager.backoff import Backoff
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import Share

_log = logging.getLogger(__name__)

Task = asyncio.Task[None]


@dataclass(frozen=True, slots=True)
class _One:
    share: Share
    task: Task


class Leaving:
    """What of one resource is on its way out. Each is tried until it is gone."""

    def __init__(
        self, maker: Maker, tasks: asyncio.TaskGroup, backoff: Backoff, gone: Callable[[], None]
    ) -> None:
        self._maker = maker
        self._tasks = tasks
        self._backoff = backoff
        self._gone = gone
        self._all: dict[str, _One] = {}

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
            task = self._tasks.create_task(self._destroy(name, making), name=f"destroy {name}")
            self._all[name] = _One(share, task)

    async def next(self, within_s: float | None = None) -> bool:
        """Return whether one is gone, as soon as one is; not, if there is none or time is over."""
        tasks = [one.task for one in self._all.values()]
        if not tasks:
            return False
        done, _ = await asyncio.wait(tasks, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)

    def stop(self) -> None:
        """Leave them as they are."""
        for one in self._all.values():
            one.task.cancel()

    async def _destroy(self, name: str, making: Task | None) -> None:
        if making is not None:
            await asyncio.wait([making])
        tries = 0
        while True:
            try:
                await calls.destroy(self._maker, name, lambda line: None)
                break
            except DriverError as error:
                tries += 1
                delay_s = self._backoff.delay_s(tries)
                words = "instance %s of %s is still there: %s; next try in %.1f s"
                _log.warning(words, name, self._maker.resource.name, error, delay_s)
                await asyncio.sleep(delay_s)
        del self._all[name]
        self._gone()


async def existing(maker: Maker, backoff: Backoff) -> set[str]:
    """Return the names of all instances of a resource, as soon as they can be found out."""
    tries = 0
    while True:
        try:
            return set(await calls.existing(maker))
        except DriverError as error:
            tries += 1
            delay_s = backoff.delay_s(tries)
            words = "what there is of %s is not known: %s; next try in %.1f s"
            _log.warning(words, maker.resource.name, error, delay_s)
            await asyncio.sleep(delay_s)
