"""`hwp` with pipes and terminals."""

import asyncio
import contextlib
import os
import pty
import sys
from collections.abc import Iterator

import pytest

from hwprovisioner.client.commands.exit_codes import ExitCode
from support.cli_lab import CliLab
from support.cli_process import HWP, Starter, shell
from support.eventually import eventually


async def test_a_reader_that_goes_away_ends_it_quietly(lab: CliLab, start: Starter) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    run = await start("get", "resources", stdout=writing)
    os.close(writing)
    code, _, err = await run.ends()
    assert (code, err) == (ExitCode.PIPE_CLOSED, "")


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    for each in (ours, theirs):
        with contextlib.suppress(OSError):
            os.close(each)


async def test_on_a_terminal_waiting_is_one_line_that_changes(
    lab: CliLab, start: Starter, terminal: tuple[int, int]
) -> None:
    ours, theirs = terminal
    lab.on_submit = lambda allocation: allocation.queue(2, "beta is in use")
    shown = Shown(ours)
    run = await start("run", "--", "true", stderr=theirs)
    await eventually(lambda: "queued at place 2" in shown.text(), within=20)
    for allocation in lab.allocations.values():
        allocation.queue(1, "alpha is cleaned")
    await eventually(lambda: "place 1: alpha is cleaned" in shown.text(), within=20)
    for allocation in lab.allocations.values():
        allocation.ready()
    code, out, _ = await run.ends()
    assert (code, out) == (0, "")
    assert "\n" not in shown.text().split("place 2")[1].split("place 1")[0]
    assert "\r\x1b[K" in shown.text()


class Shown:
    """What a terminal was sent."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._text = b""

    def text(self) -> str:
        with contextlib.suppress(BlockingIOError, OSError):
            while chunk := os.read(self._fd, 65536):
                self._text += chunk
        return self._text.decode()


async def test_ctrl_c_at_a_terminal_reaches_the_command_once(
    lab: CliLab, environment: dict[str, str]
) -> None:
    # In a terminal of its own, as its foreground group; what is written to stdin is typed.
    spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"
    script = "n=0; trap 'n=$((n+1))' INT; echo up; while [ $n -eq 0 ]; do sleep 0.02; done; exit $n"
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", spawn, *HWP, "run", *shell(script)),
        env=environment,
        stdin=pipe,
        stdout=pipe,
    )
    assert process.stdin
    assert process.stdout
    async with asyncio.timeout(20):
        while b"up" not in (line := await process.stdout.readline()):
            assert line
        process.stdin.write(b"\x03")
        await process.communicate()
    assert process.returncode == 1
    assert lab.only.released.is_set()


async def test_help_loads_nothing_heavy(start: Starter) -> None:
    heavy = ["grpc", "redis", "pydantic", "rich", "yaml", "google.protobuf"]
    # These three cost as much as click and all commands together.
    heavy += ["asyncio", "email", "importlib.metadata"]
    script = f"""
import sys
from hwprovisioner.client.cli import main
try:
    main(["--help"])
except SystemExit as end:
    assert not end.code
sys.stderr.write(",".join(sorted(set({heavy!r}) & set(sys.modules))))
"""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert b"Run the whole suite on this machine." in out
    assert err == b""
