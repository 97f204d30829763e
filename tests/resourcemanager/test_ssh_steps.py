"""Steps of driver `ssh` with a real sshd: commands, reboots, programs on the manager."""

import asyncio
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hwprovisioner.resourcemanager import DriverError, calls
from hwprovisioner.resourcemanager.config import parse_config
from hwprovisioner.resourcemanager.drivers._ssh_steps import REBOOT
from hwprovisioner.resourcemanager.errors import ConfigError
from hwprovisioner.resourcemanager.loading import load_driver
from support.eventually import eventually
from support.ssh_driver import HOLD, driver_for, reachable
from support.sshd import Sshd
from support.tcp_proxy import proxy_to


async def test_a_reboot_is_over_when_the_machine_answers_anew(
    ssh_server: Sshd, tmp_path: Path
) -> None:
    boot, asked, log = tmp_path / "boot", tmp_path / "asked", tmp_path / "log"
    boot.write_text("first")
    async with proxy_to(ssh_server.port) as proxy:
        driver = driver_for(
            ssh_server,
            replace(reachable(ssh_server), port=proxy.port),
            boot_id=f"cat {boot}",
            clean=[{"reboot": f"touch {asked}; sleep 99"}, f"cat {boot} >> {log}"],
        )
        lines: list[str] = []
        task = asyncio.create_task(calls.clean(driver, HOLD, lines.append))
        await eventually(asked.exists)
        ssh_server.stop()
        proxy.cut()
        try:
            await eventually(lambda: any("to come back, " in line for line in lines))
        finally:
            ssh_server.start()
        # It answers, but as it was: it may only be on its way down.
        await eventually(lambda: any("has not gone down" in line for line in lines))
        assert not log.exists()
        boot.write_text("second")
        await task
    assert log.read_text() == "second"
    assert "rebooting the machine" in lines


@pytest.mark.parametrize(
    ("step", "options", "words"),
    [
        (
            {"reboot": "true", "timeout": "2s"},
            {},
            "the machine did not come back from its reboot within 2 s: it answers, and has not",
        ),
        ({"reboot": "echo not for you >&2; exit 1"}, {}, "ended with status 1: not for you"),
        ({"reboot": "kill -9 $$", "timeout": "1s"}, {}, "did not come back"),
        ({"reboot": "true"}, {"boot_id": "true"}, "`boot_id` in `options` names another"),
        ({"reboot": "true"}, {"boot_id": "cat /nowhere"}, "status 1: cat: /nowhere: No such file"),
    ],
)
async def test_a_reboot_that_fails_says_how_and_ends_the_list(
    ssh_server: Sshd,
    tmp_path: Path,
    step: dict[str, str],
    options: dict[str, Any],
    words: str,
) -> None:
    # A plain `true` would be the usual command, which reboots.
    step = {**step, "reboot": f": ; {step['reboot']}"}
    after = tmp_path / "after"
    driver = driver_for(ssh_server, clean=[step, f"touch {after}"], **options)
    with pytest.raises(DriverError) as caught:
        await calls.clean(driver, HOLD, lambda line: None)
    assert words in str(caught.value)
    assert not after.exists()


@pytest.mark.parametrize(("user", "asked"), [("0", "reboot"), ("1000", "sudo -n reboot")])
def test_the_usual_command_reboots_as_root(tmp_path: Path, user: str, asked: str) -> None:
    for name, text in {
        "id": f"echo {user}",
        "reboot": 'echo "reboot" "$@"',
        "sudo": 'echo "sudo" "$@"',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.defpath}"}
    done = subprocess.run(
        ["/bin/sh", "-c", REBOOT], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == asked


async def test_a_program_on_the_manager_needs_no_machine_that_answers(ssh_server: Sshd) -> None:
    driver = driver_for(
        ssh_server,
        replace(reachable(ssh_server), port=1),
        clean=[{"manager": ["sh", "-c", "echo writing the image, $1 >&2", "sh", "a b"]}],
    )
    lines: list[str] = []
    await calls.clean(driver, HOLD, lines.append)
    assert lines == ["on the manager: sh", "writing the image, a b"]


async def test_a_machine_is_waited_for_after_a_program_beside_it(
    ssh_server: Sshd, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    driver = driver_for(ssh_server, clean=["true", {"manager": "true"}, f"echo clean >> {log}"])
    prepared = driver_for(ssh_server, ready_up=[{"manager": "true"}])
    lines: list[str] = []
    ssh_server.stop()
    try:
        with pytest.raises(DriverError, match="cannot be reached"):
            await calls.clean(driver, HOLD, lines.append)
        task = asyncio.create_task(calls.prepare(prepared, HOLD, lines.append))
        await eventually(lambda: any(line.startswith("waiting for SSH, ") for line in lines))
        assert not task.done()
    finally:
        ssh_server.start()
    assert (await task).port == ssh_server.port
    await calls.clean(driver, HOLD, lines.append)
    assert log.read_text() == "clean\n"


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (["sh", "-c", "echo no such machine >&2; exit 3"], "sh ended with status 3: no such"),
        (["/no/such/program"], "/no/such/program"),
    ],
)
async def test_a_program_that_fails_says_why(
    ssh_server: Sshd, program: list[str], words: str
) -> None:
    driver = driver_for(ssh_server, clean=[{"manager": program}])
    with pytest.raises(DriverError) as caught:
        await calls.clean(driver, HOLD, lambda line: None)
    assert words in str(caught.value)


async def test_a_program_is_killed_with_its_children_at_its_limit(
    ssh_server: Sshd, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    script = f"sleep 99 & echo $! > {pid}; wait"
    driver = driver_for(ssh_server, clean=[{"manager": ["sh", "-c", script], "timeout": "2s"}])
    with pytest.raises(DriverError, match="sh was not done within 2 s, and was killed"):
        await calls.clean(driver, HOLD, lambda line: None)
    child = Path("/proc") / pid.read_text().strip()
    await eventually(lambda: not child.exists())


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ("{timeout: 5m}", "should be a command, or have one of `run`, `reboot` and `manager`"),
        ("{run: a, manager: b}", "have one of `run`, `reboot` and `manager`"),
        ("{reboot: true, pty: true}", "has `pty`, which means nothing without `run`"),
        ("{reboot: false}", "has `reboot: false`; leave it out"),
        ("{reboot: true, timeout: soon}", "no span of time"),
        ("{rebot: true}", "unknown key; did you mean 'reboot'?"),
        ("{manager: []}", "is empty: name a program"),
    ],
)
def test_a_step_that_is_none_is_found_in_its_line(step: str, problem: str) -> None:
    text = f"""
resources:
  static:
    refb:
      driver: ssh
      access: {{host: refb}}
      options:
        clean:
          - rm -rf ~/work
          - {step}
"""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "resources.yml", load_driver)
    assert problem in str(caught.value)
    assert "resources.yml:10:" in str(caught.value)
