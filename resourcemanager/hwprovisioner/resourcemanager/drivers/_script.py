"""Runs a program with input, line-wise stderr and limited stdout, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Sequence

from hwprovisioner.resourcemanager.driver import Report
from hwprovisioner.resourcemanager.drivers._leash import Leash
from hwprovisioner.resourcemanager.drivers._lines import LineSplitter
from hwprovisioner.resourcemanager.errors import DriverError

#: A longer answer is no answer.
MOST_BYTES = 1024 * 1024
#: How long to read on after the program's end, when something that it left running has its output
#: open.
_DRAIN_S = 0.2

_LEASH = Leash()


async def run(command: Sequence[str], question: bytes, report: Report) -> bytes:
    """Run a program to its end and return its stdout. Each line of its stderr is reported.

    It has a process group of its own, which is killed when the caller is cancelled (at the time
    limit, too), and when this process dies. What it leaves running in the background when it ends
    by itself stays.

    Raises:
        DriverError: It cannot be started, ends with a status other than 0, is killed, or says too
        much.
    """
    lines = LineSplitter(report)
    out, err = _Answer(), _Lines(lines)
    async with contextlib.AsyncExitStack() as pipes:
        # A file and not a pipe: a program that never reads its input is no error.
        stdin = pipes.enter_context(tempfile.TemporaryFile())
        stdin.write(question)
        stdin.seek(0)
        far_out = await _connect(out, pipes)
        far_err = await _connect(err, pipes)
        process = await _start(command, stdin.fileno(), far_out, far_err)
        try:
            await process.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise
        finally:
            _LEASH.ended(process.pid)
        await asyncio.wait([out.ended, err.ended], timeout=_DRAIN_S)
    lines.finish()
    if process.returncode != 0:
        raise DriverError(_ending(command[0], process.returncode or 0, lines.last))
    if out.is_too_long:
        raise DriverError(f"{command[0]} answered with more than {MOST_BYTES:,} bytes")
    return bytes(out.data)


async def _start(
    command: Sequence[str], stdin: int, stdout: int, stderr: int
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *_LEASH.leashed(command),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            pass_fds=(_LEASH.pipe,),
        )
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        raise DriverError(f"{command[0]} cannot be started: {words or error}") from error
    finally:
        # The program has its own copies; the pipes end when those are closed.
        os.close(stdout)
        os.close(stderr)


async def _connect(end: _End, pipes: contextlib.AsyncExitStack) -> int:
    """Make a pipe that is read by `end`, and return its other side."""
    near, far = os.pipe()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: end, os.fdopen(near, "rb", 0)
    )
    pipes.callback(transport.close)
    return far


class _End(asyncio.Protocol):
    """The near end of a pipe."""

    def __init__(self) -> None:
        self.ended = asyncio.get_running_loop().create_future()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class _Answer(_End):
    """Keeps what is said, up to a limit, and reads the rest away so that nobody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.data = bytearray()
        self.is_too_long = False

    def data_received(self, data: bytes) -> None:
        self.is_too_long = self.is_too_long or len(self.data) + len(data) > MOST_BYTES
        if not self.is_too_long:
            self.data += data


class _Lines(_End):
    """Reports each line."""

    def __init__(self, lines: LineSplitter) -> None:
        super().__init__()
        self._lines = lines

    def data_received(self, data: bytes) -> None:
        self._lines.feed(data)


def _ending(name: str, status: int, last: str) -> str:
    """Return why a program's end is a failure, with its own last words."""
    if status > 0:
        how = f"{name} ended with status {status}"
    else:
        try:
            how = f"{name} was killed by {signal.Signals(-status).name}"
        except ValueError:
            how = f"{name} was killed by signal {-status}"
    return f"{how}: {last}" if last else how
