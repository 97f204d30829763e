"""`hwp allocate` as a process: hardware is held until it ends."""

import json
import os
import signal

from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.v1 import heartbeat_service_pb2 as beats
from support.cli_lab import CliLab
from support.cli_process import Starter
from support.eventually import eventually
from support.fake_refusals import Code, Refusal


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
