"""`hwp run` as a process: the command that it runs, signals, and what a booking has it wait for."""

import json
import signal
from pathlib import Path

import pytest

from hwprovisioner.client.commands.exit_codes import ExitCode
from support.cli_lab import CliLab
from support.cli_process import Starter, shell
from support.eventually import eventually
from support.processes import is_alive


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
    await eventually(lambda: not is_alive(child))


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
