"""QEMU as a program that does not outlive the call that runs it, unless it detaches itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from hwprovisioner.resourcemanager.errors import DriverError


@contextlib.asynccontextmanager
async def started(
    command: Sequence[str], cwd: Path | None = None, pass_fds: Sequence[int] = ()
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a program, without input and in a session of its own; it is killed at the end."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            pass_fds=pass_fds,
        )
    except OSError as error:
        message = f"{command[0]} cannot be started: {error.strerror}"
        if isinstance(error, FileNotFoundError):
            message += "; install QEMU (Debian: qemu-system-x86, qemu-utils)"
        raise DriverError(message) from error
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
