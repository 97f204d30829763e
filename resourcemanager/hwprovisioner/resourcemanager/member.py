"""What there is for one represented resource: its driver, its caretaker, its pool."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from hwprovisioner.resourcemanager.backoff import Backoffs
from hwprovisioner.resourcemanager.caretaker import Caretaker
from hwprovisioner.resourcemanager.driver import Driver, Report
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.findings import Findings
from hwprovisioner.resourcemanager.holds import Phase
from hwprovisioner.resourcemanager.instances import Instances
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import Connection, Hold, Resource
from hwprovisioner.resourcemanager.pool import Pool
from hwprovisioner.resourcemanager.represented import Represented
from hwprovisioner.resourcemanager.room import Room
from hwprovisioner.resourcemanager.slots import Slots

_log = logging.getLogger(__name__)

#: Each may be a process or a connection, and there may be 10,000 resources. No hold waits for it.
CHECKS_AT_ONCE = 64

Task = asyncio.Task[None]


@dataclass(frozen=True, slots=True)
class Member:
    """One resource, and what runs for it."""

    represented: Represented
    caretaker: Caretaker
    pool: Pool | None
    running: tuple[Task, ...]

    def stop(self) -> None:
        """Stop what runs for it; what was made of it stays."""
        for task in self.running:
            task.cancel()
        if self.pool is not None:
            self.pool.stop()


class Members:
    """Makes members that share what a manager has once."""

    def __init__(
        self,
        journal: Journal,
        tasks: asyncio.TaskGroup,
        load: Callable[[str], type[Driver]],
        changed: Callable[[Represented], None],
        findings: Findings,
        backoffs: Backoffs,
        mark: str,
    ) -> None:
        self._mark = mark
        self._journal = journal
        self._tasks = tasks
        self._load = load
        self._changed = changed
        self._findings = findings
        self._backoffs = backoffs
        self._checks = Slots(CHECKS_AT_ONCE)
        self._leaving: dict[str, Task] = {}

    def enter(self, resource: Resource) -> Member:
        """Begin to represent a resource."""
        driver = self._driver(resource)
        represented = Represented(resource, driver)
        caretaker = Caretaker(
            represented,
            changed=self._on_changed,
            findings=self._findings,
            is_busy=lambda: self._is_busy(resource),
            is_held=lambda: self.is_held(resource.name),
            checks=self._checks,
            backoff=self._backoffs.repair,
        )
        running = [self._tasks.create_task(caretaker.run(), name=f"watch {resource.name}")]
        pool = None
        if isinstance(driver, Maker):
            pool = self._pool(driver, represented, caretaker)
            represented.instances = Instances(driver, self._journal, pool)
            before = self._leaving.get(resource.name)
            filling = pool.run(before)
            running.append(self._tasks.create_task(filling, name=f"pool {resource.name}"))
            sweeping = self._sweep(represented, pool, before)
            running.append(self._tasks.create_task(sweeping, name=f"sweep {resource.name}"))
        return Member(represented, caretaker, pool, tuple(running))

    def leave(self, member: Member) -> None:
        """Represent a resource no longer; nothing holds it. What its pool has is destroyed."""
        for task in member.running:
            task.cancel()
        if member.pool is None:
            return
        name = member.represented.name
        closing = self._tasks.create_task(member.pool.close(), name=f"close pool {name}")
        self._leaving[name] = closing
        closing.add_done_callback(lambda done: self._left(name, done))

    def stop(self) -> None:
        """Stop what runs for those that have left."""
        for task in self._leaving.values():
            task.cancel()

    def is_held(self, name: str) -> bool:
        """Say whether a hold has something of a resource."""
        return any(held.is_live for held in self._journal.of(name))

    def _left(self, name: str, closing: Task) -> None:
        if self._leaving.get(name) is closing:
            del self._leaving[name]

    def _on_changed(self, represented: Represented) -> None:
        self._changed(represented)
        if represented.instances is not None:
            represented.instances.pool.wake()

    async def _sweep(self, represented: Represented, pool: Pool, before: Task | None) -> None:
        await represented.is_ours.wait()
        await pool.sweep.run(before, lambda: self._on_changed(represented))

    def _pool(self, maker: Maker, represented: Represented, caretaker: Caretaker) -> Pool:
        return Pool(
            maker,
            self._journal,
            self._tasks,
            room=lambda: Room.of(represented.resource, represented.facts),
            is_open=lambda: represented.is_fit,
            gone=caretaker.cleaned,
            given_up=caretaker.give_up,
            changed=lambda: self._on_changed(represented),
            backoff=self._backoffs.refill,
        )

    def _driver(self, resource: Resource) -> Driver:
        try:
            return self._load(resource.driver)(replace(resource, mark=self._mark))
        except Exception as error:  # one resource's driver must not take the others down
            _log.exception("driver %s cannot serve resource %s", resource.driver, resource.name)
            return _Broken(resource, f"{type(error).__name__}: {error}")

    def _is_busy(self, resource: Resource) -> bool:
        """It is being readied up or cleaned as a whole, so it may well be rebooting."""
        if resource.division is not None:
            return False
        phases = {held.phase for held in self._journal.of(resource.name)}
        return not phases.isdisjoint((Phase.PREPARING, Phase.CLEANING, Phase.DIRTY))


class _Broken(Driver):
    """Stands in for a driver that could not be made."""

    def __init__(self, resource: Resource, trouble: str) -> None:
        super().__init__(resource)
        self._trouble = trouble

    async def check(self) -> None:
        raise DriverError(self._trouble)

    async def prepare(self, hold: Hold, report: Report) -> Connection:
        raise DriverError(self._trouble)

    async def tear_down(self, hold: Hold, report: Report) -> None:
        raise DriverError(self._trouble)
