"""`hwp console` in a terminal and without one, through a real lab."""

import asyncio
import contextlib
import os
import pty
import signal
import termios
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hwprovisioner.client.commands.exit_codes import ExitCode
from support.bench import Bench, bench
from support.reachable import CHUNK
from support.user import HWP, LIMIT_S, Hwp, of_user


@pytest.fixture
async def held(redis_url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(redis_url, tmp_path) as found:
        yield found


@pytest.fixture
def hwp(held: Bench, tmp_path: Path) -> Hwp:
    return of_user(held, tmp_path)


@dataclass
class Terminal:
    """Where a person sits, and the command that runs there."""

    file: int
    process: asyncio.subprocess.Process
    before: list[object]
    shown: bytes = b""

    def attributes(self) -> list[object]:
        return termios.tcgetattr(self.file)

    async def sees(self, words: bytes) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(LIMIT_S):
            while words not in self.shown:
                self.shown += await loop.run_in_executor(None, os.read, self.file, CHUNK)

    def type(self, keys: bytes) -> None:
        os.write(self.file, keys)


@contextlib.asynccontextmanager
async def terminal(hwp: Hwp, *words: str) -> AsyncIterator[Terminal]:
    ours, theirs = pty.openpty()
    try:
        before = termios.tcgetattr(ours)
        process = await asyncio.create_subprocess_exec(
            *(*HWP, *words),
            env=hwp.environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        yield Terminal(ours, process, before)
        if process.returncode is None:
            process.kill()
            await process.wait()
    finally:
        os.close(ours)
        os.close(theirs)


async def test_a_console_takes_every_key_until_the_one_that_leaves(hwp: Hwp, held: Bench) -> None:
    async with terminal(hwp, "console", "host") as seat:
        await seat.sees(b"Ctrl-] leaves")
        await seat.sees(b"login: ")
        assert seat.attributes() != seat.before
        seat.type(b"abc\x03\x04\x1a")
        await seat.sees(b"ABC\x03\x04\x1a")
        seat.type(b"last\x1dnot sent")
        assert await seat.process.wait() == 0
        assert seat.attributes() == seat.before
        await seat.sees(b"left the console")
    await held.nothing_is_left()


async def test_another_key_leaves_if_one_says_so(hwp: Hwp) -> None:
    async with terminal(hwp, "console", "--escape", "^a", "host") as seat:
        await seat.sees(b"Ctrl-A leaves")
        await seat.sees(b"login: ")
        seat.type(b"x\x1dy")
        await seat.sees(b"X\x1dY")
        seat.type(b"\x01")
        assert await seat.process.wait() == 0
    assert (await hwp("console", "--escape", "a", "host")).code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, ExitCode.TERMINATED), (signal.SIGHUP, ExitCode.TERMINATED)],
)
async def test_a_signal_leaves_the_terminal_as_it_was(
    hwp: Hwp, number: signal.Signals, code: ExitCode
) -> None:
    async with terminal(hwp, "console", "host") as seat:
        await seat.sees(b"login: ")
        assert seat.attributes() != seat.before
        seat.process.send_signal(number)
        assert await seat.process.wait() == code
        assert seat.attributes() == seat.before


async def test_the_end_of_the_hold_leaves_the_terminal_as_it_was(hwp: Hwp, held: Bench) -> None:
    async with terminal(hwp, "console", "host") as seat:
        await seat.sees(b"login: ")
        await held.asked.release()
        assert await seat.process.wait() == ExitCode.LOST
        assert seat.attributes() == seat.before
        await seat.sees(b"is lost (RELEASED)")


async def test_without_a_terminal_stdin_is_typed_and_stdout_shows(hwp: Hwp, held: Bench) -> None:
    ran = await hwp("console", "host", stdin=b"root\x1d\r")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == b"login: ROOT\x1d\r"
    await held.nothing_is_left()
