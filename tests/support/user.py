"""A user who has allocated a machine here, and runs `hwp` as processes."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hwprovisioner.client.commands.own_allocations import OwnAllocations
from support.bench import Bench

LIMIT_S = 30.0
HWP = (sys.executable, "-m", "hwprovisioner.client.cli")


@dataclass
class Ran:
    code: int
    out: bytes
    err: str


@dataclass
class Hwp:
    """The command, for a user who has allocated the machine here."""

    environment: dict[str, str]

    async def start(
        self,
        *words: str,
        stdin: int = asyncio.subprocess.DEVNULL,
        environment: Mapping[str, str] | None = None,
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(*HWP, *words),
            env={**self.environment, **(environment or {})},
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def __call__(
        self, *words: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None
    ) -> Ran:
        process = await self.start(*words, stdin=asyncio.subprocess.PIPE, environment=environment)
        async with asyncio.timeout(LIMIT_S):
            out, err = await process.communicate(stdin)
        assert process.returncode is not None
        assert b"Traceback" not in err
        return Ran(process.returncode, out, err.decode())


def of_user(held: Bench, state: Path) -> Hwp:
    environment = {name: each for name, each in os.environ.items() if not name.startswith("HWP_")}
    environment |= {"ALLOCATE_API": held.services[0].target, "XDG_STATE_HOME": str(state)}
    OwnAllocations.of_user(environment).add(held.asked.id, held.asked.token)
    return Hwp(environment)


async def line_of(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    async with asyncio.timeout(LIMIT_S):
        return (await stream.readline()).decode()


async def ended(process: asyncio.subprocess.Process) -> int:
    """Return the exit code of what was started, once its pipes are at their ends, too."""
    async with asyncio.timeout(LIMIT_S):
        await process.communicate()
    assert process.returncode is not None
    return process.returncode
