"""A warm pool: instances that are up before anyone asks, of one resource.

The pool makes way: what holds need goes before what it keeps ready, at any moment. An instance is
in the journal as pooled from the moment it is up until it is given away, so after a crash only
such ones are handed over; whatever else is found belongs to nobody and is destroyed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hwprovisioner.resourcemanager import calls
from hwprovisioner.resourcemanager.backoff import REFILL, Backoff
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.filling import Filling
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.leaving import Leaving, Task, existing
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import Instance, Share, WarmPool
from hwprovisioner.resourcemanager.records import Pooled
from hwprovisioner.resourcemanager.room import Room
from hwprovisioner.resourcemanager.sample import made_by, sample, stands_in
from hwprovisioner.resourcemanager.sweep import Sweep
from hwprovisioner.resourcemanager.wanted import Wanted

_log = logging.getLogger(__name__)

#: A pool being filled must not slow down those who use the machine.
MAKINGS_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class _Making:
    instance: Instance
    task: Task


@dataclass(frozen=True, slots=True)
class _Ready:
    instance: Instance
    since: float


class Pool:
    """What one resource has ready, and what is on its way in and out.

    One without `Resource.pool` keeps nothing ready, but destroys what an earlier life left.
    """

    def __init__(
        self,
        maker: Maker,
        journal: Journal,
        tasks: asyncio.TaskGroup,
        *,
        room: Callable[[], Room],
        is_open: Callable[[], bool],
        gone: Callable[[str], None],
        given_up: Callable[[str], None],
        changed: Callable[[], None],
        backoff: Backoff = REFILL,
    ) -> None:
        self._maker = maker
        self._journal = journal
        self._tasks = tasks
        self._room = room
        self._is_open = is_open
        self._backoff = backoff
        self._made_by = made_by(maker.resource)
        self._making: dict[str, _Making] = {}
        self._ready: dict[str, _Ready] = {}
        self._gone = gone
        self._leaving = Leaving(maker, tasks, backoff, gone=self._note_gone, given_up=given_up)
        self.sweep = Sweep(maker, self._leaving, self._known, backoff)
        self._wanted = Wanted()
        self.filling = Filling(maker.resource.name, backoff, changed)
        self._news = asyncio.Event()

    async def run(self, after: Task | None = None) -> None:
        """Go on with what an earlier life had ready, and keep the pool filled, for ever.

        Args:
            after: What is to end before: the pool of the resource as it was described until now.
        """
        if after is not None:
            await asyncio.wait([after])
        await self._adopt()
        wanted = self._maker.resource.pool
        if wanted is None:
            return
        next_look = _now() + self._maker.resource.check_every_s
        while True:
            self._news.clear()
            self._destroy_surplus(wanted)
            self._fill(wanted)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._next_turn(wanted, next_look)):
                    await self._news.wait()
            if _now() >= next_look:
                await asyncio.gather(*(self._look_at(one) for one in list(self._ready.values())))
                next_look = _now() + self._maker.resource.check_every_s

    def wake(self) -> None:
        """Look again at what there is to do: something has changed."""
        self._news.set()

    def take(self, asked: Instance) -> Instance | None:
        """Return an instance that can stand in for what is asked for; it is the caller's now.

        `None` if none is ready; that it was asked for is remembered.
        """
        resource = self._maker.resource
        pooled = sample(resource)
        if pooled is None or not stands_in(resource, pooled, asked):
            return None
        self._wanted.asked(_now())
        self._news.set()
        for name, one in self._ready.items():
            del self._ready[name]
            return one.instance
        return None

    def destroy(self, instance: Instance) -> None:
        """Destroy an instance that was taken, but cannot be handed over."""
        self._leave(instance.name, instance.share)

    def put_back(self, instance: Instance) -> None:
        """Take an instance back that was taken, and that nothing was done with."""
        self._ready[instance.name] = _Ready(instance, _now())

    async def make_room(self) -> None:
        """Return once what all holds have fits into the limits, at the cost of the pool.

        Raises:
            DriverError: It does not, for what is left and cannot be destroyed.
        """
        while not self._fits(self._shares(self._making, self._ready)) and self._give_up_one():
            pass
        while not self._fits(self._all_shares()):
            if not await self._leaving.next():
                raise DriverError("there is no room: what cannot be destroyed is in the way")

    async def give_way(self) -> None:
        """Destroy one instance for the sake of a hold, if there is one."""
        if self._give_up_one():
            await self._leaving.next()

    async def close(self) -> None:
        """Destroy all that is ready or being made: the resource is represented no longer."""
        while self._give_up_one():
            pass
        await self._leaving.close()

    def try_again(self) -> set[str]:
        """Destroy what could not be destroyed before, and return its names."""
        return self._leaving.try_again()

    def stop(self) -> None:
        """Leave all as it is; the next start goes on with it."""
        for one in self._making.values():
            one.task.cancel()
        self._leaving.stop()

    @property
    def _name(self) -> str:
        return self._maker.resource.name

    def _known(self) -> set[str]:
        held = {one.hold.instance for one in self._journal.of(self._name) if one.is_live}
        return held.union(self._journal.pooled, self._making, self._ready, self._leaving)

    def _note_gone(self, name: str) -> None:
        self.wake()
        self._gone(name)

    # What fits.

    def _shares(self, *groups: dict[str, _Making] | dict[str, _Ready]) -> list[Share]:
        return [one.instance.share for group in groups for one in group.values()]

    def _all_shares(self) -> list[Share]:
        return self._shares(self._making, self._ready) + self._leaving.shares

    def _fits(self, shares: Iterable[Share]) -> bool:
        holds = [held.hold for held in self._journal.of(self._name) if held.is_live]
        return self._room().has([*(hold.share for hold in holds), *shares])

    # In.

    def _fill(self, pool: WarmPool) -> None:
        if not (self.filling.is_due(_now()) and self._is_open()):
            return
        while (
            len(self._ready) + len(self._making) < self._wanted.count(pool, _now())
            and len(self._making) < MAKINGS_AT_ONCE
            and self._fits([*self._all_shares(), pool.share])
        ):
            instance = sample(self._maker.resource, f"{self._name}.pool-{secrets.token_hex(6)}")
            assert instance is not None
            task = self._tasks.create_task(self._make(instance), name=f"make {instance.name}")
            self._making[instance.name] = _Making(instance, task)

    async def _make(self, instance: Instance) -> None:
        def report(line: str) -> None:
            _log.debug("instance %s: %s", instance.name, line)

        try:
            await calls.make(self._maker, instance, report)
            self._journal.put(Pooled(self._name, instance, self._made_by))
            await self._journal.flush()
        except (DriverError, OSError) as error:
            del self._making[instance.name]
            self.filling.failed(error, _now())
            self._leave(instance.name, instance.share)
        else:
            del self._making[instance.name]
            self._ready[instance.name] = _Ready(instance, _now())
            self.filling.worked()
        self._news.set()

    # Out.

    def _destroy_surplus(self, pool: WarmPool) -> None:
        # The oldest stand first.
        surplus = len(self._ready) - self._wanted.count(pool, _now())
        for one in list(self._ready.values())[: max(0, surplus)]:
            if one.since <= _now() - pool.idle_s:
                self._retire(one.instance, "nobody has asked for it")

    async def _look_at(self, one: _Ready) -> None:
        try:
            is_well = await calls.is_well(self._maker, one.instance)
        except DriverError as error:
            _log.warning("instance %s of %s: %s", one.instance.name, self._name, error)
            return
        if not is_well and one.instance.name in self._ready:
            self._retire(one.instance, "it is not well")

    def _give_up_one(self) -> bool:
        """Begin to destroy what is of least use: what is not up yet, else the longest idle."""
        for name, making in reversed(self._making.items()):
            del self._making[name]
            self._leave(name, making.instance.share, making.task)
            return True
        for one in self._ready.values():
            self._retire(one.instance, "a hold needs its room")
            return True
        return False

    def _retire(self, instance: Instance, reason: str) -> None:
        _log.info("instance %s of %s is destroyed: %s", instance.name, self._name, reason)
        self._ready.pop(instance.name, None)
        self._leave(instance.name, instance.share)

    def _leave(self, name: str, share: Share, making: Task | None = None) -> None:
        try:
            self._journal.unpool(name)
        except OSError as error:
            _log.error("journal: %s; after a crash, instance %s is looked for", error, name)
        self._leaving.add(name, share, making)

    def _next_turn(self, pool: WarmPool, next_look: float) -> float:
        due = [next_look]
        due += [one.since + pool.idle_s for one in self._ready.values()]
        due += self._wanted.fewer_at(pool)
        due += self.filling.next_at(_now())
        # What was due already could not be done, and is looked at when there is news.
        return min(at for at in due if at > _now() or at == next_look)

    # Again.

    async def _adopt(self) -> None:
        """Go on with what an earlier life had ready, if it is what the pool is to have now."""
        pooled = [one for one in self._journal.pooled.values() if one.resource == self._name]
        there = await existing(self._maker, self._backoff) if pooled else set()
        for one in pooled:
            is_good = one.instance.name in there and one.maker == self._made_by
            if is_good and one.instance == sample(self._maker.resource, one.instance.name):
                _log.info("instance %s of %s is kept ready", one.instance.name, self._name)
                self.put_back(one.instance)
            else:
                self._retire(one.instance, "it is not what the pool is to have")


def _now() -> float:
    return asyncio.get_running_loop().time()
