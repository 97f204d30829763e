"""Where a driver is tried: it calls as a manager does, keeps in mind what it began, and clears up.

Whatever is left in the end, blocks the event loop, or is raised and no `DriverError`, fails the
test.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from hwprovisioner.resourcemanager.conformance.subject import Subject
from hwprovisioner.resourcemanager.conformance.watching import Watch, watching
from hwprovisioner.resourcemanager.driver import Driver
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import Connection, Hold, Instance

T = TypeVar("T")

#: For a driver that names no limit of its own.
_LIMIT_S = 600.0
#: How long what was cancelled may take to be gone.
_GONE_S = 10.0


class Bench:
    """One driver, and a manager's calls of it."""

    def __init__(self, subject: Subject, watch: Watch) -> None:
        self.subject = subject
        self.watch = watch
        self.driver = self.another()
        #: What the driver said to whoever waits.
        self.lines: list[str] = []
        self._began: dict[str, Hold] = {}
        self._not_given_back: set[str] = set()
        self._before: set[str] = set()

    async def begin(self) -> None:
        """Note what there is already: it is none of this test's."""
        self._before = await self.existing()

    def another(self) -> Driver:
        """Return a driver that knows nothing of what was, as after the manager died."""
        return self.subject.driver(self.subject.resource)

    def of_another_manager(self) -> Maker:
        """Return the driver of a manager that represents a resource of the same name elsewhere."""
        other = self.subject.driver(replace(self.subject.resource, mark="elsewhere"))
        assert isinstance(other, Maker)
        return other

    def hold(self) -> Hold:
        """Return a hold that never was; what it has is cleared up in the end."""
        hold = self.subject.hold()
        self._began[hold.id] = hold
        self._not_given_back.add(hold.id)
        return hold

    @property
    def maker(self) -> Maker:
        """The driver, if it is a maker; else the test is skipped."""
        if not isinstance(self.driver, Maker):
            pytest.skip(f"driver {self.subject.resource.driver} is no Maker")
        return self.driver

    def instance(self) -> Instance:
        """Return an instance that never was, for any holder."""
        return Instance.of(self.hold())

    async def check(self) -> None:
        """Check the resource."""
        await self.within("check_s", self.driver.check())

    async def prepare(self, hold: Hold, driver: Driver | None = None) -> Connection:
        """Ready the resource up for a hold."""
        call = (driver or self.driver).prepare(hold, self.lines.append)
        connection = await self.within("ready_up_s", call)
        assert isinstance(connection, Connection), f"prepare returned {connection!r}"
        assert connection.protocol, "the connection says no protocol"
        return connection

    async def tear_down(self, hold: Hold, driver: Driver | None = None) -> None:
        """Take it down again."""
        call = (driver or self.driver).tear_down(hold, self.lines.append)
        await self.within("tear_down_s", call)

    async def clean(self, hold: Hold, driver: Driver | None = None) -> None:
        """Clean it."""
        await self.within("clean_s", (driver or self.driver).clean(hold, self.lines.append))

    async def give_back(self, hold: Hold, driver: Driver | None = None) -> None:
        """Take down and clean, as after each hold."""
        await self.tear_down(hold, driver)
        await self.clean(hold, driver)
        self._not_given_back.discard(hold.id)

    async def existing(self) -> set[str]:
        """Return what this test has made and is still there, if the driver can tell."""
        driver = self.another()
        if not isinstance(driver, Maker):
            return set()
        names = await self.within("check_s", driver.existing())
        return set(names) - self._before

    async def within(self, limit: str, call: Awaitable[T]) -> T:
        """Await a call within its time limit."""
        own: float | None = getattr(self.driver.time_limits(), limit)
        default: float | None = getattr(self.driver.default_time_limits, limit)
        async with asyncio.timeout(own or default or _LIMIT_S):
            return await call

    async def quiet(self, tasks: set[asyncio.Task[Any]]) -> None:
        """Return once no more tasks and threads are at work than there were."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _GONE_S
        while left := asyncio.all_tasks() - tasks:
            if loop.time() > deadline:
                names = "\n".join(repr(task) for task in left)
                pytest.fail(f"{_GONE_S:g} s after a call was cancelled, its tasks go on:\n{names}")
            await asyncio.sleep(0.01)

    async def clear_up(self) -> None:
        """Give back what was begun and is not yet."""
        for name in list(self._not_given_back):
            await self.give_back(self._began[name], self.another())

    async def see_it_clear(self) -> None:
        """See that nothing is left."""
        left = await self.existing()
        assert not left, f"after tear-down and cleaning there still are: {', '.join(left)}"


def on_bench(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a test of a coroutine that takes a bench, and perhaps fixtures."""

    @functools.wraps(test)
    def run(subject: Subject, **fixtures: object) -> None:
        async def whole(bench: Bench) -> None:
            await bench.begin()
            try:
                await test(bench, **fixtures)
            finally:
                await bench.clear_up()

        with asyncio.Runner() as runner, watching(runner.get_loop()) as watch:
            bench = Bench(subject, watch)
            try:
                runner.run(whole(bench))
            finally:
                # A thread that a cancelled call left behind may still make something.
                runner.close()
                asyncio.run(bench.see_it_clear())
        assert not watch.blocks, "\n".join(watch.blocks)

    # pytest finds fixtures by a function's parameters: its own, not those of what it wraps.
    del run.__wrapped__
    _, *others = inspect.signature(test).parameters.values()
    own = inspect.Parameter("subject", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = inspect.Signature([own, *others])  # type: ignore[attr-defined]
    return run
