"""Power and console of a machine from beside it: programs on the manager, such as a relay's."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence

from hwprovisioner.resourcemanager.driver import Report
from hwprovisioner.resourcemanager.drivers import _script
from hwprovisioner.resourcemanager.drivers._command import Command
from hwprovisioner.resourcemanager.drivers._leash import Leash
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import Power
from hwprovisioner.resourcemanager.schema import Section

_LEASH = Leash()


class PowerSection(Section):
    """Programs that switch the power, each as a list or as one line without a shell."""

    on: Command
    off: Command
    #: Else `off`, then `on`.
    cycle: Command | None = None


async def switch(section: PowerSection, action: Power, report: Report) -> None:
    """Switch the power; what the programs say on stderr is reported.

    Raises:
        DriverError: A program failed.
    """
    steps: dict[Power, Sequence[Sequence[str]]] = {
        Power.ON: [section.on],
        Power.OFF: [section.off],
        Power.CYCLE: [section.cycle] if section.cycle else [section.off, section.on],
    }
    for command in steps[action]:
        report(f"power {action}: {command[0]}")
        await _script.run(command, b"", report)


class Console:
    """A program whose input and output are a console; both ends of the channel in one.

    It is killed, with what it has started, when the channel is closed or this process dies.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._reader = process.stdout
        self._writer = process.stdin
        self._ending = asyncio.create_task(self._end(), name="console program")

    @classmethod
    async def start(cls, command: Sequence[str]) -> Console:
        """Start the program.

        Raises:
            DriverError: It cannot be started.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *_LEASH.leashed(command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(_LEASH.pipe,),
            )
        except (OSError, ValueError) as error:
            raise DriverError(f"{command[0]} cannot be started: {error}") from error
        return cls(process)

    async def read(self, n: int = -1) -> bytes:
        """Return up to `n` bytes, none once the program has ended."""
        return await self._reader.read(n)

    def write(self, data: bytes) -> None:
        """Send bytes, some time."""
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait until more can be sent."""
        await self._writer.drain()

    def write_eof(self) -> None:
        """Close the program's input."""
        self._writer.close()

    def close(self) -> None:
        """End the program."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def _end(self) -> None:
        await self._process.wait()
        _LEASH.ended(self._process.pid)
