"""`hwp` as a process: signals, commands that it runs, pipes and terminals."""

import asyncio
import contextlib
import json
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.v1 import heartbeat_service_pb2 as beats
from support.cli_lab import CliLab, cli_lab
from support.eventually import eventually
from support.fake_lab import Code, Refusal

HWP = (sys.executable, "-m", "hwprovisioner.client.cli")


@pytest.fixture
async def lab() -> AsyncIterator[CliLab]:
    async with cli_lab() as lab:
        lab.next_beat_s = 0.05
        yield lab


class Hwp:
    """A run of `hwp`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def ends(self) -> tuple[int, str, str]:
        """Its exit code, stdout and stderr."""
        out, err = await self.process.communicate()
        assert self.process.returncode is not None
        assert b"Traceback" not in (err or b"")
        return self.process.returncode, (out or b"").decode(), (err or b"").decode()

    async def says(self, words: str) -> None:
        """Read its stderr until it says that."""
        assert self.process.stderr
        async with asyncio.timeout(20):
            while words not in (line := (await self.process.stderr.readline()).decode()):
                assert line, f"it never said {words!r}"


@pytest.fixture
def environment(lab: CliLab, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "ALLOCATE_API": lab.target,
        "HEARTBEAT_API": lab.target,
        "XDG_STATE_HOME": str(tmp_path),
    }


@pytest.fixture
async def start(environment: dict[str, str]) -> AsyncIterator["Starter"]:
    starter = Starter(environment)
    yield starter
    for run in starter.runs:
        with contextlib.suppress(ProcessLookupError):
            run.process.kill()
        await run.process.wait()


class Starter:
    """Starts `hwp`, and keeps what it started."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.runs: list[Hwp] = []

    async def __call__(self, *words: str, **streams: int) -> Hwp:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *HWP,
            *words,
            env=self.environment,
            # No terminal, wherever the tests are run from.
            start_new_session=True,
            **{"stdin": asyncio.subprocess.DEVNULL, "stdout": pipe, "stderr": pipe, **streams},  # type: ignore[arg-type]
        )
        self.runs.append(Hwp(process))
        return self.runs[-1]


def shell(script: str) -> tuple[str, ...]:
    return ("--", "sh", "-c", script)


# -- run ------------------------------------------------------------------------------------------


async def test_a_command_finds_the_hardware_in_its_environment(lab: CliLab, start: Starter) -> None:
    run = await start("run", "--cpus", "4", *shell('echo "$HWP_HOSTS"; echo "$HWP_ALLOCATION_ID"'))
    code, out, err = await run.ends()
    hosts, allocation_id = out.splitlines()
    assert code == 0
    assert json.loads(hosts)["host"]["resource"] == "res-1"
    assert json.loads(hosts)["host"]["protocol"] == "local"
    assert allocation_id == "a-1"
    assert "ready after" in err
    assert lab.only.released.is_set()


async def test_each_host_of_a_set_has_its_name_in_the_environment(
    lab: CliLab, start: Starter
) -> None:
    script = 'echo "$HWP_HOST_DB $HWP_HOST_MY_EDGE ${HWP_HOST-none}"'
    run = await start("run", "--host", "db", "--host", "my-edge", *shell(script))
    assert (await run.ends())[:2] == (0, "localhost localhost none\n")


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137)])
async def test_the_exit_code_is_the_commands_and_the_hardware_is_given_back(
    lab: CliLab, start: Starter, script: str, code: int
) -> None:
    assert (await (await start("run", *shell(script))).ends())[0] == code
    assert lab.only.released.is_set()


async def test_options_after_the_command_are_the_commands(lab: CliLab, start: Starter) -> None:
    run = await start("run", "--cpus", "1", "echo", "--cpus", "--debug")
    assert (await run.ends())[:2] == (0, "--cpus --debug\n")


async def test_a_command_that_is_not_there_asks_for_nothing(
    lab: CliLab, start: Starter, tmp_path: Path
) -> None:
    assert (await (await start("run", "--", "no-such")).ends())[0] == ExitCode.NO_SUCH_COMMAND
    (tmp_path / "plain").touch()
    plain = str(tmp_path / "plain")
    assert (await (await start("run", "--", plain)).ends())[0] == ExitCode.CANNOT_RUN
    assert lab.allocate_calls == 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 3), (signal.SIGINT, 4), (signal.SIGUSR1, 5)]
)
async def test_signals_are_passed_on_and_the_command_decides(
    lab: CliLab, start: Starter, number: signal.Signals, code: int
) -> None:
    traps = "trap 'exit 3' TERM; trap 'exit 4' INT; trap 'exit 5' USR1"
    run = await start("run", *shell(f"{traps}; echo up >&2; while :; do sleep 0.02; done"))
    await run.says("up")
    run.process.send_signal(number)
    assert (await run.ends())[0] == code
    assert lab.only.released.is_set()


async def test_a_lost_lease_stops_the_command_and_says_why(lab: CliLab, start: Starter) -> None:
    script = "trap 'echo asked; exit 0' TERM; echo up >&2; while :; do sleep 0.02; done"
    run = await start("run", *shell(script))
    await run.says("up")
    lab.only.end("REVOKED", "the lab closes")
    code, out, err = await run.ends()
    assert code == ExitCode.LOST
    assert out == "asked\n"
    assert "REVOKED" in err
    assert "the lab closes" in err


async def test_a_command_that_ignores_the_loss_is_killed_with_all_it_started(
    lab: CliLab, start: Starter, tmp_path: Path, environment: dict[str, str]
) -> None:
    # A limit that a test can wait for.
    (tmp_path / "sitecustomize.py").write_text(
        "from hwprovisioner.client.commands import leased_process\n"
        "leased_process.STOP_LIMIT_S = 0.2\n"
    )
    environment["PYTHONPATH"] = str(tmp_path)
    script = "trap '' TERM; (while :; do sleep 0.02; done) & echo $! up >&2; wait; wait"
    run = await start("run", "-q", *shell(script))
    assert run.process.stderr
    child = int((await run.process.stderr.readline()).split()[0])
    lab.only.end("EXPIRED")
    assert (await run.ends())[0] == ExitCode.LOST
    await eventually(lambda: not is_running(child))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, ExitCode.CTRL_C), (signal.SIGTERM, ExitCode.TERMINATED)],
)
@pytest.mark.parametrize("words", [("run", "--", "true"), ("allocate",)])
async def test_a_signal_while_waiting_gives_the_place_up(
    lab: CliLab, start: Starter, words: tuple[str, ...], number: signal.Signals, code: ExitCode
) -> None:
    lab.on_submit = lambda allocation: allocation.queue(3, "beta is in use")
    run = await start(*words)
    await run.says("queued at place 3: beta is in use")
    run.process.send_signal(number)
    assert (await run.ends())[0] == code
    assert lab.only.released.is_set()


# -- allocate -------------------------------------------------------------------------------------


async def test_hardware_is_held_until_ctrl_c_and_given_back(lab: CliLab, start: Starter) -> None:
    run = await start("allocate", "--cpus", "4", "-o", "json")
    await run.says("held until Ctrl-C")
    await eventually(lambda: lab.only.beats > 3)
    run.process.send_signal(signal.SIGINT)
    code, out, _ = await run.ends()
    assert code == 0
    assert json.loads(out)["token"] == "token-1"
    assert lab.only.released.is_set()


async def test_what_could_not_be_given_back_is_said(lab: CliLab, start: Starter) -> None:
    run = await start("run", "--", "true")
    lab.refuse_release = Refusal(Code.INTERNAL, "broken", "INTERNAL")
    code, _, err = await run.ends()
    assert code == 0
    assert "was not given back" in err


async def test_what_was_to_live_on_is_given_back_if_it_could_not_be_told(
    lab: CliLab, start: Starter
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    run = await start("allocate", "--detach", stdout=writing)
    os.close(writing)
    assert (await run.ends())[0] == ExitCode.PIPE_CLOSED
    assert lab.only.released.is_set()


async def test_a_lease_that_is_lost_ends_the_holding_with_8(lab: CliLab, start: Starter) -> None:
    run = await start("allocate")
    await run.says("held until Ctrl-C")
    lab.only.end("PREEMPTED", "somebody is more important")
    code, _, err = await run.ends()
    assert code == ExitCode.LOST
    assert err.count("somebody is more important") == 1


async def test_notices_are_shown(lab: CliLab, start: Starter) -> None:
    run = await start("allocate")
    await run.says("held until Ctrl-C")
    lab.notices = [
        beats.Notice(kind=beats.NoticeKind.NOTICE_KIND_DRAINING, message="alpha is being drained")
    ]
    await run.says("notice: alpha is being drained")
    lab.notices = [
        beats.Notice(kind=beats.NoticeKind.NOTICE_KIND_PREEMPTION, message="gives way in 60 s")
    ]
    await run.says("notice: gives way in 60 s")


# -- bookings -------------------------------------------------------------------------------------


async def test_a_command_runs_on_a_booking_once_it_begins(lab: CliLab, start: Starter) -> None:
    code, out, _ = await (await start("book", "--from", "+1h", "--for", "2h")).ends()
    assert code == 0
    assert out.startswith("id      a-1\ntoken   token-1\n")
    run = await start("run", "--allocation", "a-1", *shell('echo "$HWP_ALLOCATION_ID $HWP_TOKEN"'))
    await run.says("booked from ")
    assert lab.only.beats == 0
    lab.only.ready()
    assert (await run.ends())[:2] == (0, "a-1 token-1\n")
    assert lab.only.released.is_set()


async def test_ctrl_c_before_its_time_leaves_a_booking(lab: CliLab, start: Starter) -> None:
    await (await start("book", "--from", "+1h", "--for", "2h")).ends()
    run = await start("run", "--allocation", "a-1", "--token", "token-1", "--", "true")
    await run.says("booked from ")
    run.process.send_signal(signal.SIGINT)
    assert (await run.ends())[0] == ExitCode.CTRL_C
    assert not lab.only.ended
    assert (await (await start("release", "a-1")).ends())[:2] == (0, "a-1 released\n")
    assert lab.only.ended


# -- streams --------------------------------------------------------------------------------------


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
    heavy = ("grpc", "redis", "pydantic", "rich", "yaml", "google.protobuf")
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
