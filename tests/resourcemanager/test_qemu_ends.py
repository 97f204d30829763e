"""Driver `qemu`: machines, calls and managers that end in the middle."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import DriverError, calls
from hwprovisioner.resourcemanager.model import Instance, Power
from support import boot_sector
from support.conformance import LIMIT_S
from support.eventually import eventually
from support.guest_image import APPEND, guest_image
from support.processes import is_alive
from support.qemu_machine import BOOT_S, NOBODY, driver, hold, of_options, pid_of

pytestmark = [pytest.mark.timeout(LIMIT_S), pytest.mark.xdist_group("qemu")]


async def test_a_machine_whose_process_was_killed_is_not_well_and_is_made_anew(
    tmp_path: Path,
) -> None:
    disk = boot_sector.boot_sector(tmp_path)
    image = {"base": str(disk), "ready": {"console": boot_sector.UP}}
    options = {"accel": "tcg", "folder": str(tmp_path / "machines"), "images": {"tiny": image}}
    made, instance = of_options(options), Instance.of(hold())
    await made.make(instance, NOBODY)
    pid = pid_of(made, "hyper.7")
    os.kill(pid, signal.SIGKILL)
    # Its sockets go with the last of its threads.
    await eventually(lambda: not made._machine("hyper.7").is_running)
    assert not await made.is_well(instance)
    with pytest.raises(DriverError, match="does not run"):
        await made.console(hold())
    with pytest.raises(DriverError, match="does not run"):
        await made.power(Power.ON, hold(), NOBODY)
    await made.make(instance, NOBODY)
    assert await made.is_well(instance)
    again = pid_of(made, "hyper.7")
    assert again != pid
    await made.destroy("hyper.7", NOBODY)
    assert not is_alive(again)
    assert not list(made._folder.iterdir())


async def test_cancelled_in_the_middle_of_booting_nothing_runs_on(tmp_path: Path) -> None:
    made = driver(tmp_path)
    lines: list[str] = []
    task = asyncio.create_task(calls.prepare(made, hold(), lines.append))
    await eventually(lambda: "waiting for SSH" in lines, within=BOOT_S)
    pid = pid_of(made, "hyper.7")
    assert is_alive(pid)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_alive(pid)
    assert await made.existing() == ["hyper.7"]
    await calls.clean(made, hold(), NOBODY)
    assert not await made.existing()


MANAGER = """
import asyncio, sys
from hwprovisioner.resourcemanager import Hold, Share, read_config
from hwprovisioner.resourcemanager.drivers.qemu import QemuDriver
resource = read_config(sys.argv[1]).resources["hyper"]
asyncio.run(QemuDriver(resource).prepare(Hold("hyper.7", "hyper", 7, Share(1, 2**28)), print))
"""


def kill_once_it_waits(resources: Path) -> None:
    """Run a manager's call in a process of its own, and kill that while its machine boots."""
    command = [sys.executable, "-u", "-c", MANAGER, str(resources)]
    manager = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert manager.stdout is not None
    with manager:
        while not (line := manager.stdout.readline()).startswith("waiting"):
            assert line, "the manager ended"
        manager.kill()


async def test_a_machine_whose_manager_was_killed_while_it_booted_is_begun_anew(
    tmp_path: Path,
) -> None:
    # This one is never up, and the next manager waits for something else.
    made = driver(tmp_path, ready={"console": "what no guest says"})
    image = guest_image().options | {"ready": {"console": "what no guest says"}}
    options = {"accel": "tcg", "folder": str(tmp_path / "machines"), "images": {"tiny": image}}
    file = tmp_path / "resources.yml"
    entry = f"{{driver: qemu, cpu: 1, mem: 256MiB, options: {json.dumps(options)}}}"
    file.write_text(f"resources: {{static: {{hyper: {entry}}}}}")
    kill_once_it_waits(file)
    pid = pid_of(made, "hyper.7")
    assert is_alive(pid)

    heir = driver(tmp_path, ready="start")
    assert await heir.existing() == ["hyper.7"]
    await heir.make(Instance.of(hold()), NOBODY)
    assert not is_alive(pid)
    again = pid_of(heir, "hyper.7")
    assert is_alive(again)
    await heir.destroy("hyper.7", NOBODY)
    assert not is_alive(again)


async def test_a_guest_that_ends_while_it_boots_is_told_with_its_last_words(
    tmp_path: Path,
) -> None:
    made = driver(tmp_path, append=f"{APPEND} test.off")
    with pytest.raises(
        DriverError, match=r"no longer running, but .shutdown.; .*reboot: Power down"
    ):
        await calls.prepare(made, hold(), NOBODY)
    await calls.clean(made, hold(), NOBODY)
    assert not await made.existing()
