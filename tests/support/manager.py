"""A resource manager in this process, with drivers that do what a test says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hwprovisioner.resourcemanager import (
    Connection,
    Division,
    Driver,
    DriverError,
    Facts,
    Hold,
    Kind,
    Report,
    Resource,
    TimeLimits,
)
from hwprovisioner.resourcemanager.agent import Agent
from hwprovisioner.resourcemanager.backoff import Backoff, Backoffs
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.link import Link
from hwprovisioner.resourcemanager.loading import load_driver
from hwprovisioner.resourcemanager.model import Care

Load = Callable[[str], type[Driver]]

#: Tries again at once.
AT_ONCE = Backoff(first_s=0.0, cap_s=0.0)
QUICKLY = Backoff(first_s=0.02, cap_s=0.1)


@dataclass
class Hardware:
    """What the fake drivers of a test do, and what was done with them.

    A call waits at the gate of its action, or of its action and hold, until the test opens it.
    """

    calls: list[str] = field(default_factory=list)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    #: What a call says when it fails; by action; each entry is used once.
    failures: dict[str, list[Exception]] = field(default_factory=dict)
    #: Why a resource is not well, by name; changed by the test.
    trouble: dict[str, str] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)
    lines: list[str] = field(default_factory=list)
    answer: object = field(default_factory=lambda: Connection("fake", address="there"))
    running: set[str] = field(default_factory=set)
    #: The resources that were checked, one entry each time.
    checks: list[str] = field(default_factory=list)

    def gate(self, call: str) -> asyncio.Event:
        return self.gates.setdefault(call, asyncio.Event())

    async def act(self, action: str, hold: Hold, report: Report) -> None:
        call = f"{action} {hold.id}"
        self.calls.append(call)
        self.running.add(call)
        try:
            for line in self.lines:
                report(line)
            for gate in (action, call):
                if gate in self.gates:
                    await self.gates[gate].wait()
            if self.failures.get(action):
                raise self.failures[action].pop(0)
        except asyncio.CancelledError:
            self.calls.append(f"cancelled {call}")
            raise
        finally:
            self.running.discard(call)

    def driver(self, name: str = "fake") -> type[Driver]:
        hardware = self

        class FakeDriver(Driver):
            async def describe(self) -> Facts:
                return hardware.facts

            async def check(self) -> None:
                hardware.checks.append(self.resource.name)
                if trouble := hardware.trouble.get(self.resource.name):
                    raise DriverError(trouble)

            async def prepare(self, hold: Hold, report: Report) -> Connection:
                await hardware.act("prepare", hold, report)
                return hardware.answer  # type: ignore[return-value]  # nonsense, too

            async def tear_down(self, hold: Hold, report: Report) -> None:
                await hardware.act("tear_down", hold, report)

            async def clean(self, hold: Hold, report: Report) -> None:
                await hardware.act("clean", hold, report)

        return FakeDriver


def box(
    name: str = "box",
    *,
    instances: int = 0,
    cpus: int = 4,
    limit_s: float = 30.0,
    care: Care = Care(),  # noqa: B008  # frozen
) -> Resource:
    """Return a resource with a fake driver; with instances it is divisible."""
    return Resource(
        name=name,
        kind=Kind.EDGE_DEVICE,
        driver="fake",
        declared=Facts(cpus=cpus),
        division=Division(instances) if instances else None,
        time_limits=TimeLimits(limit_s, limit_s, limit_s, limit_s),
        check_every_s=0.05,
        care=care,
    )


@dataclass
class Manager:
    agent: Agent
    journal: Journal
    stopping: asyncio.Event
    link: asyncio.Task[None]


@contextlib.asynccontextmanager
async def manager(
    target: str,
    journal_file: Path,
    hardware: Hardware | Load | None,
    resources: Mapping[str, Resource] | None = None,
    *,
    shown: Callable[[bool], None] = lambda is_up: None,
) -> AsyncIterator[Manager]:
    """Run a manager until the block ends. What the link raised is in `Manager.link`.

    Hardware may be a function that finds drivers; without any, they are the real ones.
    """
    load = hardware.driver if isinstance(hardware, Hardware) else hardware or load_driver
    stopping = asyncio.Event()
    journal = Journal.open(journal_file)
    try:
        async with asyncio.TaskGroup() as tasks:
            agent = Agent(
                "bench",
                "0",
                journal,
                tasks,
                load=load,
                backoffs=Backoffs(AT_ONCE, AT_ONCE, QUICKLY, QUICKLY),
            )
            agent.represent({"box": box()} if resources is None else resources)
            await agent.know_resources(5)
            link = Link(agent, target, stopping, shown=shown, backoff=QUICKLY)
            linking = asyncio.create_task(link.run())
            try:
                yield Manager(agent, journal, stopping, linking)
            finally:
                stopping.set()
                await asyncio.wait([linking])
                if not linking.cancelled():
                    linking.exception()
                await agent.stop()
    finally:
        journal.close()
