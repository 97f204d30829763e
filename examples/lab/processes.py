"""Processes that end with the demo, however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from hwprovisioner.suite.leash import leashed

from .parts import Missing

START_LIMIT_S = 60.0
STOP_LIMIT_S = 20.0
#: Below those that kernels give to whoever connects, or binds any.
_PORTS = (10_000, 32_000)
_SYSTEM_FOLDERS = "/usr/sbin:/sbin"

AsyncCheck = Callable[[], Awaitable[bool]]


def program(name: str) -> str:
    """Gives the path of a program.

    Raises:
        Missing: It is not there.
    """
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SYSTEM_FOLDERS}")
    if path is None:
        raise Missing(f"there is no {name} on PATH")
    return path


async def output(*command: str) -> str:
    """Runs a command to its end and gives what it printed.

    Raises:
        Missing: It failed, and with which words.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, error = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.returncode != 0:
        said = (error or out).decode(errors="replace").strip().splitlines()
        raise Missing(f"{Path(command[0]).name}: {said[-1] if said else 'failed without a word'}")
    return out.decode(errors="replace").strip()


@contextlib.asynccontextmanager
async def running(command: Sequence[str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs a program until the block ends; it ends as well if this process is killed."""
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            *leashed(command, signal.SIGTERM),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            # Ctrl-C is for the demo, which ends this in its turn.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        await _end(process)


async def until(answers: AsyncCheck, process: asyncio.subprocess.Process, log: Path) -> None:
    """Waits until what was started answers.

    Raises:
        Missing: It ended, or took too long; with its last words.
    """
    deadline = time.monotonic() + START_LIMIT_S
    while not await answers():
        if process.returncode is not None or time.monotonic() > deadline:
            raise Missing(f"it does not start: {_last_line(log)}")
        # Nothing tells when a server of somebody else's is ready, so it is asked.
        await asyncio.sleep(0.1)


def free_port() -> int:
    """Gives a port of the loopback that is free now, and that no connection is given meanwhile."""
    while True:
        port = random.randrange(*_PORTS)  # noqa: S311  # spread, not secrecy
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def listens(port: int) -> AsyncCheck:
    """Gives what says whether somebody listens there."""

    async def look() -> bool:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return True
        return False

    return look


def _last_line(log: Path) -> str:
    said = log.read_text(errors="replace").strip().splitlines()
    return said[-1] if said else "it says nothing"


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), STOP_LIMIT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
