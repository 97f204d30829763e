"""The lab with one resource of each kind, for real: `make lab-demo`."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from examples.lab import cloud, leftovers, settings
from examples.lab.engines import docker, ec2
from examples.lab.parts import PARTS, Missing
from examples.lab.processes import output

from hwprovisioner.resourcemanager import read_config
from support import needs
from support.real_suite import clean_environment

ROOT = Path(__file__).parents[2]
#: Whoever runs on a busy machine without KVM waits for a guest to boot.
LIMIT_S = 600
DEMO = (sys.executable, "-u", "-m", "examples.lab")


def started(*command: str, **environment: str) -> "subprocess.Popen[str]":
    environ = clean_environment() | environment
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def need_all(printed: str) -> None:
    """End the test where the demo had to leave something out."""
    if skipped := re.findall(r"^lab: (\w+): SKIPPED, (.*)$", printed, re.MULTILINE):
        needs.missing(f"what the lab needs: {skipped}")


def assert_nothing_is_left(folder: Path) -> None:
    assert not list(folder.iterdir())
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes()
        except OSError:
            continue
        assert f"{folder}/hwp-lab-".encode() not in words


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for temporary files; its name is short enough for sockets in it."""
    folder = Path(tempfile.mkdtemp(prefix="hwp-t-"))
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def machine_process(name: str) -> Iterator[int]:
    """Run something that has a virtual machine's command line; give its process id."""
    stays = "import sys; print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", stays, f"guest={name}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process.pid
        process.kill()


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.xdist_group("docker")
def test_one_resource_of_each_kind_is_lent_together_and_leaves_nothing(folder: Path) -> None:
    demo = started("make", "lab-demo", TMPDIR=str(folder))
    printed, _ = demo.communicate()
    assert demo.returncode == 0, printed
    assert_nothing_is_left(folder)
    need_all(printed)
    assert "demanding one set: vm, container, server, cloud, board, here\n" in printed
    # Told while it is waited for. What follows at once on the first line may be left out.
    for line in ("vm: making", "vm: waiting for SSH", "container: creating", "server: letting"):
        assert f"preparing {line}" in printed
    for part in PARTS:
        runs = f"{part.command} says '" if part.command else "no command is run: moto "
        assert re.search(rf"^lab: {part.name} \(by .*\): {runs}", printed, re.MULTILINE), printed
    assert re.search(r"uname -nr says 'vm-hwp-lab-\S+ \S+-cloud-amd64'", printed)
    assert "no container, machine, instance, key or file of a host is left\n" in printed
    assert "skipped: nothing\n" in printed


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.xdist_group("docker")
def test_ctrl_c_in_the_middle_of_booting_leaves_nothing_either(folder: Path) -> None:
    demo = started(*DEMO, TMPDIR=str(folder))
    assert demo.stdout is not None
    printed = ""
    with demo:
        for line in demo.stdout:
            printed += line
            if "preparing vm: waiting for SSH" in line:
                demo.send_signal(signal.SIGINT)
    assert_nothing_is_left(folder)
    need_all(printed)
    assert demo.returncode == 130, printed
    assert "interrupted: giving everything back" in printed
    assert "FAILED" not in printed


@pytest.mark.timeout(LIMIT_S)
def test_what_a_machine_cannot_have_is_left_out_by_name(folder: Path) -> None:
    programs, temporary = folder / "bin", folder / "tmp"
    for each in (programs, temporary):
        each.mkdir()
    (programs / "uname").symlink_to(needs.program("uname"))
    demo = started(*DEMO, TMPDIR=str(temporary), PATH=str(programs))
    printed, _ = demo.communicate()
    assert demo.returncode == 0, printed
    for name, lacks in (("vm", "qemu-system-x86_64"), ("container", "docker")):
        words = f"lab: {name}: SKIPPED, .* cannot be had here: there is no {lacks} on PATH$"
        assert re.search(words, printed, re.MULTILINE), printed
    assert re.search(r"^lab: server: SKIPPED, .*: there is no ssh\S* on PATH$", printed, re.M)
    assert "demanding one set: cloud, board, here\n" in printed
    assert "skipped: vm, container, server\n" in printed
    assert_nothing_is_left(temporary)


def test_the_lab_is_described_as_it_stands() -> None:
    resources = read_config(settings.SOURCE).resources
    assert {one.driver for one in resources.values()} == {
        *("qemu", "docker", "ssh", "ec2", "exec", "local"),
    }
    assert set(resources) == {part.name for part in PARTS}


async def test_what_is_left_of_hosts_is_found(folder: Path) -> None:
    home = folder / "sshd"
    home.mkdir()
    (home / "lab.pub").write_text("ssh-ed25519 AAAA lab\n")
    (home / "authorized_keys").write_text("ssh-ed25519 AAAA lab\n")
    entry: dict[str, Any] = {
        "access": {"key_file": str(home / "lab")},
        "options": {"authorized_keys": str(home / "authorized_keys")},
    }
    entries: dict[str, dict[str, Any]] = {"server": entry, "vm": {"name": "vm-x"}}
    assert await leftovers.of_hosts(folder, entries) == []

    with (home / "authorized_keys").open("a") as keys:
        keys.write("ssh-ed25519 BBBB somebody\n")
    for file in ("machines/vm-x/vm-x.1/disk", "relay", "tmp/hwp-key-1/key"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    with machine_process("vm-x.1") as pid:
        left = await leftovers.of_hosts(folder, entries)
    assert left == [
        f"file {folder}/machines/vm-x/vm-x.1/disk",
        f"file {folder}/relay",
        f"file {folder}/tmp/hwp-key-1",
        f"process of a virtual machine: {pid}",
        "key in authorized_keys: ssh-ed25519 BBBB somebody",
    ]


async def test_an_instance_that_still_runs_is_found(folder: Path) -> None:
    import boto3

    async with ec2(folder) as fill:
        entry: dict[str, Any] = {"options": {"images": {"base": {}}}}
        fill(entry)
        url = str(entry["options"]["endpoint_url"])
        assert await leftovers.of_hosts(folder, {"cloud": entry}) == []
        client = boto3.client("ec2", region_name=cloud.REGION, endpoint_url=url)
        ami = entry["options"]["images"]["base"]["ami"]
        made = client.run_instances(ImageId=ami, MinCount=1, MaxCount=1)["Instances"][0]
        client.close()
        (left,) = await leftovers.of_hosts(folder, {"cloud": entry})
        assert left == f"instance {made['InstanceId']}, running"


@pytest.mark.timeout(LIMIT_S)
@pytest.mark.xdist_group("docker")
async def test_a_container_that_is_still_there_is_found(folder: Path) -> None:
    try:
        async with docker(folder) as fill:
            entry: dict[str, Any] = {"options": {}}
            fill(entry)
            (image,) = entry["options"]["images"]
            assert await leftovers.of_hosts(folder, {"container": entry}) == []
            made = await output("docker", "create", "--network", "none", image, "sh")
            (left,) = await leftovers.of_hosts(folder, {"container": entry})
            assert left == f"container {made[:12]}"
    except Missing as missing:
        needs.missing(str(missing))


def test_a_process_that_outlives_the_demo_is_found_and_ended(folder: Path) -> None:
    environ = os.environ | {leftovers.MARK: str(folder)}
    with subprocess.Popen(["sleep", "600"], env=environ) as process:
        (left,) = leftovers.end_processes(folder)
        assert process.wait() == -signal.SIGKILL
    assert left.startswith(f"process {process.pid}: ")
    assert leftovers.end_processes(folder) == []
