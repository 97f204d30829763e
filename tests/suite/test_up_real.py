"""`hwp up` and `hwp` with the real services: a lab on one machine."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from support.up import Start

HWP = (sys.executable, "-m", "hwprovisioner.client.cli")


def hwp(addresses: dict[str, str], home: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "ALLOCATE_API": addresses["allocate"],
        "HEARTBEAT_API": addresses["heartbeat"],
        "XDG_STATE_HOME": str(home),
    }
    return subprocess.run(
        [*HWP, *words], env=environment, capture_output=True, text=True, timeout=50, check=False
    )


async def test_this_machine_is_lent_used_and_given_back(start_up: Start, tmp_path: Path) -> None:
    up = start_up(real=True)
    addresses = await up.ready()
    ran = hwp(addresses, tmp_path, "run", "--cpus", "1", "--", "sh", "-c", "echo $HWP_HOST; exit 3")
    assert (ran.returncode, ran.stdout) == (3, "localhost\n"), ran.stderr
    assert hwp(addresses, tmp_path, "run", "--cpus", "100000", "--", "true").returncode == 4
    assert hwp(addresses, tmp_path, "health", "--address", addresses["manager"]).returncode == 0
    up.signal(signal.SIGINT)
    assert await up.status() == 0


async def test_an_allocation_outlives_the_kill_of_everything(
    start_up: Start, tmp_path: Path
) -> None:
    up = start_up(real=True)
    addresses = await up.ready()
    held = hwp(addresses, tmp_path, "allocate", "--detach", "--ttl", "1h", "-o", "json")
    assert held.returncode == 0, held.stderr
    made = json.loads(held.stdout)
    up.signal(signal.SIGKILL)
    up.process.wait()
    up.ports_file.unlink()
    addresses = await start_up(real=True).ready()
    found = json.loads(hwp(addresses, tmp_path, "get", "alloc", made["id"], "-o", "json").stdout)
    assert found["state"] == "ALLOCATION_STATE_READY"
    assert found["hosts"]["host"]["hold"]["fence"] == made["hosts"]["host"]["hold"]["fence"]
    # Its token is in the user's file.
    released = hwp(addresses, tmp_path, "release", "--all")
    assert released.stdout == f"{made['id']} released\n"
