"""A machine that steps are taken on: it may go down and come back between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import asyncssh

from hwprovisioner.resourcemanager.driver import Report
from hwprovisioner.resourcemanager.drivers import _script
from hwprovisioner.resourcemanager.drivers._ssh_commands import CommandSection, Cut, run
from hwprovisioner.resourcemanager.drivers._ssh_login import connected
from hwprovisioner.resourcemanager.drivers._ssh_steps import StepSection
from hwprovisioner.resourcemanager.drivers._waiting import until
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import Access

#: How long a machine may take to come back, unless a step says so.
_BACK_S = 300.0


class Machine:
    """One machine; it is logged in to when something needs that, not before."""

    def __init__(self, access: Access, boot_id: str, report: Report) -> None:
        self._access = access
        self._boot_id = CommandSection(run=boot_id)
        self._report = report
        self._login = AsyncExitStack()
        self._connection: asyncssh.SSHClientConnection | None = None
        #: What was done to it from outside, after which it may take a while to answer.
        self._may_be_away_after = ""
        self._last_trouble = ""

    @classmethod
    @asynccontextmanager
    async def reached(cls, access: Access, boot_id: str, report: Report) -> AsyncIterator[Machine]:
        """Provide a machine, and log out at the end."""
        machine = cls(access, boot_id, report)
        try:
            yield machine
        finally:
            await machine._log_out()

    async def connection(self) -> asyncssh.SSHClientConnection:
        """Log in, unless that was done, and return the connection.

        After a program was run beside the machine, it is waited for.

        Raises:
            DriverError: It does not let us in.
        """
        if self._may_be_away_after:
            message = f"the machine does not answer after {self._may_be_away_after}"
            async with self._within(_BACK_S, message):
                await self._until(self._trouble, "SSH")
            self._may_be_away_after = ""
        return await self._log_in()

    async def take(self, steps: Sequence[StepSection]) -> None:
        """Take steps in order until one fails, reporting what they print.

        Raises:
            DriverError: One failed, or was not done within its time, or the machine did not come
                back.
        """
        for step in steps:
            if step.run is not None:
                command = CommandSection(run=step.run, timeout=step.timeout, pty=step.pty)
                await run(await self.connection(), command, self._report)
            elif step.reboot is not None:
                await self._reboot(step.reboot, step.timeout or _BACK_S)
            elif step.manager is not None:
                await self._run_beside(step.manager, step.timeout)

    async def _reboot(self, command: str, limit_s: float) -> None:
        await self.connection()
        before = await self._boot()

        async def look() -> str:
            try:
                if await self._boot() != before:
                    return ""
                trouble = "it answers, and has not gone down"
            except DriverError as error:
                trouble = str(error)
            # A connection of before would last as long as the old system does.
            await self._log_out()
            return trouble

        self._report("rebooting the machine")
        async with self._within(limit_s, "the machine did not come back from its reboot"):
            try:
                await run(await self._log_in(), CommandSection(run=command), self._report)
            except Cut:
                pass  # it was quick, and nobody was left to say how it went
            await self._log_out()
            await self._until(look, "it to come back")

    async def _boot(self) -> str:
        """Return what is another after each boot of the machine.

        Raises:
            DriverError: It cannot be found out.
        """
        found = await run(await self._log_in(), self._boot_id, _unheard)
        if not found:
            message = f"`{self._boot_id.run}` prints nothing; `boot_id` in `options` names another"
            raise DriverError(f"whether it has rebooted could not be told: {message}")
        return found

    async def _run_beside(self, program: Sequence[str], limit_s: float | None) -> None:
        # It may be switched off, or made anew.
        await self._log_out()
        self._may_be_away_after = program[0]
        self._report(f"on the manager: {program[0]}")
        try:
            async with asyncio.timeout(limit_s):
                await _script.run(program, b"", self._report)
        except TimeoutError:
            message = f"{program[0]} was not done within {limit_s:g} s, and was killed"
            raise DriverError(message) from None

    async def _trouble(self) -> str:
        try:
            await self._log_in()
        except DriverError as error:
            return str(error)
        return ""

    async def _until(self, look: Callable[[], Awaitable[str]], what: str) -> None:
        async def look_and_keep() -> str:
            self._last_trouble = await look()
            return self._last_trouble

        await until(look_and_keep, what, self._report)

    @asynccontextmanager
    async def _within(self, limit_s: float, message: str) -> AsyncIterator[None]:
        """Limit how long something may take.

        Raises:
            DriverError: It took longer: the message, and the trouble that was seen last.
        """
        self._last_trouble = ""
        try:
            async with asyncio.timeout(limit_s):
                yield
        except TimeoutError:
            trouble = f": {self._last_trouble}" if self._last_trouble else ""
            raise DriverError(f"{message} within {limit_s:g} s{trouble}") from None

    async def _log_in(self) -> asyncssh.SSHClientConnection:
        if self._connection is None:
            login = connected(self._access)
            self._connection = await self._login.enter_async_context(login)
        return self._connection

    async def _log_out(self) -> None:
        self._connection = None
        await self._login.aclose()


def _unheard(line: str) -> None:
    """Nobody cares."""
