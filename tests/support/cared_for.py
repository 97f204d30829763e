"""Hardware that a manager cares for, and what is said of it."""

import asyncio
from typing import Any

from hwprovisioner.resourcemanager import Driver, Report
from hwprovisioner.resourcemanager.model import Care
from hwprovisioner.v1 import manager_stream_pb2, resource_pb2
from support.eventually import eventually
from support.manager import Hardware
from support.scripted_lab import Session

HEALTHY = resource_pb2.HEALTH_HEALTHY
QUARANTINED = resource_pb2.HEALTH_QUARANTINED
TWICE = Care(clean_tries=2, repair_tries=2)


class Mendable(Hardware):
    """Hardware with a driver that knows a repair; what it does is the test's to say."""

    repairs: list[str]
    gate_of_repair: asyncio.Event | None = None

    def __init__(self, *results: Exception | None, **more: Any) -> None:
        super().__init__(**more)
        #: What becomes of the next repairs: it works, it fails, or (`OSError`) it was no use.
        self.results = list(results)
        self.repairs = []

    def driver(self, name: str = "fake") -> type[Driver]:
        hardware = self
        base: Any = super().driver(name)

        class MendableDriver(base):  # type: ignore[misc]  # a class made by a function
            async def repair(self, trouble: str, report: Report) -> None:
                hardware.repairs.append(trouble)
                if hardware.gate_of_repair is not None:
                    await hardware.gate_of_repair.wait()
                result = hardware.results.pop(0) if hardware.results else OSError()
                if result is None:
                    hardware.trouble.clear()
                elif not isinstance(result, OSError):
                    raise result

        return MendableDriver


class Checked(Hardware):
    """Hardware whose checks take as long as the test wants."""

    _turns: asyncio.Semaphore | None = None

    async def hold_checks(self) -> asyncio.Semaphore:
        """Let checks end only as often as what is returned is released; one has begun."""
        self._turns = asyncio.Semaphore(0)
        await self.next_check()
        return self._turns

    async def next_check(self) -> None:
        """Return once another check has begun."""
        checks = len(self.checks)
        await eventually(lambda: len(self.checks) > checks)

    def driver(self, name: str = "fake") -> type[Driver]:
        hardware = self
        base: Any = super().driver(name)

        class CheckedDriver(base):  # type: ignore[misc]  # a class made by a function
            async def check(self) -> None:
                turns = hardware._turns
                await super().check()
                if turns is not None:
                    await turns.acquire()

        return CheckedDriver


async def dirty(session: Session, hold_id: str = "h1", fence: int = 1) -> Any:
    """Lend the box, and take it back though it cannot be cleaned; return what is said of it."""
    await session.offer(hold_id, fence)
    await session.hear("ready", hold_id=hold_id)
    await session.release(hold_id, fence + 1)
    return await session.hear("health", resource="box")


async def settled(session: Session) -> None:
    """Return once the manager has taken in what was said before."""
    await session.say(ping=manager_stream_pb2.Ping())
    await session.hear("pong")
