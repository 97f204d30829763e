"""The resources that are represented now, and how a changed file changes them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hwprovisioner.resourcemanager.driver import Driver, Report
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.holds import Phase
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.model import Connection, Hold, Resource
from hwprovisioner.resourcemanager.represented import Represented

_log = logging.getLogger(__name__)

#: Each may be a process or a connection, and there may be 10,000 resources. No hold waits for it.
CHECKS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class _Member:
    represented: Represented
    watching: asyncio.Task[None]


class Fleet:
    """Every represented resource by its name, each with a task that watches its health."""

    def __init__(
        self,
        journal: Journal,
        tasks: asyncio.TaskGroup,
        load: Callable[[str], type[Driver]],
        changed: Callable[[Represented], None],
    ) -> None:
        self._journal = journal
        self._tasks = tasks
        self._load = load
        self._changed = changed
        self._members: dict[str, _Member] = {}
        self._checks = asyncio.Semaphore(CHECKS_AT_ONCE)

    def __iter__(self) -> Iterator[Represented]:
        return iter([member.represented for member in self._members.values()])

    def get(self, name: str) -> Represented | None:
        """Return a resource, `None` if it is not represented."""
        member = self._members.get(name)
        return member.represented if member is not None else None

    def change(self, resources: Mapping[str, Resource]) -> list[str]:
        """Take over what the file says now, and return the names of those that are gone at once.

        What is held stays as it is until `settle`.
        """
        gone = []
        for represented in self:
            if represented.name not in resources and not self._leave(represented):
                gone.append(represented.name)
        for resource in resources.values():
            represented_now = self.get(resource.name)
            if represented_now is None:
                self._add(resource)
            else:
                self._update(represented_now, resource)
        return gone

    def settle(self, represented: Represented) -> None:
        """Do what had to wait until nothing holds a resource any more, if that is so now."""
        if self._is_held(represented.name):
            return
        if represented.is_removed:
            self._remove(represented.name)
        elif represented.successor is not None:
            self._replace(represented.successor)
        else:
            represented.look_soon()

    def stop(self) -> None:
        """Stop watching."""
        for member in self._members.values():
            member.watching.cancel()

    def _leave(self, represented: Represented) -> bool:
        """Take a resource out of service, and return whether it stays until its holds end."""
        if not self._is_held(represented.name):
            self._remove(represented.name)
            return False
        represented.is_removed = True
        represented.successor = None
        self._changed(represented)
        return True

    def _update(self, represented: Represented, resource: Resource) -> None:
        was_lent = represented.can_be_lent
        represented.is_removed = False
        represented.successor = None
        if represented.resource != resource:
            if not self._is_held(represented.name):
                self._replace(resource)
                return
            _log.info("resource %s changes once what holds it has ended", resource.name)
            represented.successor = resource
        if represented.can_be_lent != was_lent:
            self._changed(represented)

    def _replace(self, resource: Resource) -> None:
        self._remove(resource.name)
        self._changed(self._add(resource))

    def _remove(self, name: str) -> None:
        self._members.pop(name).watching.cancel()

    def _add(self, resource: Resource) -> Represented:
        represented = Represented(
            resource,
            self._driver(resource),
            changed=self._changed,
            is_busy=lambda: self._is_busy(resource),
            checks=self._checks,
        )
        watching = self._tasks.create_task(represented.watch(), name=f"watch {resource.name}")
        self._members[resource.name] = _Member(represented, watching)
        return represented

    def _driver(self, resource: Resource) -> Driver:
        try:
            return self._load(resource.driver)(resource)
        except Exception as error:  # one resource's driver must not take the others down
            _log.exception("driver %s cannot serve resource %s", resource.driver, resource.name)
            return _Broken(resource, f"{type(error).__name__}: {error}")

    def _is_held(self, name: str) -> bool:
        return any(held.is_live for held in self._journal.of(name))

    def _is_busy(self, resource: Resource) -> bool:
        """It is being readied up or cleaned as a whole, so it may well be rebooting."""
        if resource.division is not None:
            return False
        phases = {held.phase for held in self._journal.of(resource.name)}
        return not phases.isdisjoint((Phase.PREPARING, Phase.CLEANING))


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
