"""Driver `qemu` with real machines."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from hwprovisioner.resourcemanager import (
    ConfigError,
    Connection,
    DriverError,
    Hold,
    Share,
    calls,
    parse_config,
)
from hwprovisioner.resourcemanager.drivers import _kvm
from hwprovisioner.resourcemanager.drivers.qemu import QemuDriver
from hwprovisioner.resourcemanager.errors import Later
from hwprovisioner.resourcemanager.model import Instance, Power
from support import boot_sector
from support.conformance import LIMIT_S
from support.eventually import eventually
from support.guest_image import APPEND, guest_image

pytestmark = [pytest.mark.timeout(LIMIT_S), pytest.mark.xdist_group("qemu")]

MIB = 1024**2
NOBODY: Callable[[str], None] = lambda line: None  # noqa: E731
#: A guest on a busy machine takes a while.
BOOT_S = 120.0
CLEAN = b"as the lab made it\n"


def driver(folder: Path, **image: object) -> QemuDriver:
    """Return a driver whose machines live in a folder."""
    options = {
        "accel": "tcg",
        "folder": str(folder / "machines"),
        "images": {"tiny": guest_image().options | image},
    }
    return of_options(options)


def of_options(options: object) -> QemuDriver:
    limits = "limits: {cpu: 4, mem: 1GiB, instances: 4}, default: {cpu: 1, mem: 128MiB}"
    text = f"hyper: {{driver: qemu, {limits}, options: {json.dumps(options)}}}"
    return QemuDriver(parse_config(f"resources: {{dynamic: {{{text}}}}}").resources["hyper"])


def hold(name: str = "hyper.7", key: str = "") -> Hold:
    return Hold(name, "hyper", 7, Share(2, 200 * MIB), ssh_public_key=key)


def pid_of(driver: QemuDriver, name: str) -> int:
    return int((driver._folder / name / "pid").read_text())


def is_alive(pid: int) -> bool:
    """Say whether a process runs; what has ended may stay until somebody asks how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def program(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def about_disk(driver: QemuDriver) -> dict[str, Any]:
    """Return what qemu-img says of the disk of the only machine."""
    disk = driver._folder / "hyper.7" / "disk.qcow2"
    about: dict[str, Any] = json.loads(
        program("qemu-img", "info", "-U", "--output=json", str(disk))
    )
    return about


@dataclass
class Held:
    """A machine that is held, by whom, and what its image's disk is."""

    driver: QemuDriver
    hold: Hold
    key: asyncssh.SSHKey
    connection: Connection
    base: Path
    lines: list[str]

    async def run(self, command: str, key: asyncssh.SSHKey | None = None) -> str:
        host_key = asyncssh.import_public_key(self.connection.properties["host_key"])
        async with asyncssh.connect(
            self.connection.address,
            self.connection.port,
            username=self.connection.user,
            client_keys=[key or self.key],
            agent_path=None,
            config=None,
            known_hosts=([host_key], [], []),
        ) as connection:
            done = await connection.run(command)
            return str(done.stdout)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    """One machine for all tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("qemu")
    base = folder / "base.raw"
    base.write_bytes(CLEAN + bytes(MIB - len(CLEAN)))
    base.chmod(0o444)
    made = driver(folder, base=str(base))
    key = asyncssh.generate_private_key("ssh-ed25519")
    holder = hold(key=key.export_public_key().decode().strip())
    lines: list[str] = []
    connection = asyncio.run(calls.prepare(made, holder, lines.append))
    try:
        yield Held(made, holder, key, connection, base, lines)
    finally:
        pid = pid_of(made, holder.id)
        asyncio.run(calls.clean(made, holder, NOBODY))
        assert not is_alive(pid)
        assert not list(made._folder.iterdir())


async def test_the_machine_has_what_was_asked_and_knows_its_name(held: Held) -> None:
    assert (await held.run("nproc")).strip() == "2"
    kib = int((await held.run("grep MemTotal /proc/meminfo")).split()[1])
    # Its kernel keeps some for itself.
    assert 128 * 1024 < kib <= 200 * 1024
    assert (await held.run("hostname")).strip() == "hyper-7"


async def test_whoever_waits_is_told_for_what_and_how_long(held: Held) -> None:
    assert held.lines[0].startswith("making the virtual machine")
    assert any(line.startswith("waiting for SSH, ") for line in held.lines)


async def test_nobody_but_the_holder_is_let_in(held: Held) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        await held.run("true", asyncssh.generate_private_key("ssh-ed25519"))


async def test_what_the_machine_writes_is_not_in_its_image(held: Held) -> None:
    read = "head -n 1 /dev/vda"
    assert await held.run(read) == CLEAN.decode()
    assert await held.run(f"echo dirty | dd of=/dev/vda conv=notrunc; sync; {read}") == "dirty\n"
    assert held.base.read_bytes() == CLEAN + bytes(MIB - len(CLEAN))


async def test_a_later_manager_finds_the_machine_and_leaves_it_as_it_is(held: Held) -> None:
    heir = QemuDriver(held.driver.resource)
    assert await heir.existing() == [held.hold.id]
    pid = pid_of(held.driver, held.hold.id)
    assert await calls.prepare(heir, held.hold, NOBODY) == held.connection
    assert pid_of(heir, held.hold.id) == pid
    assert await heir.is_well(Instance.of(held.hold))


async def test_the_console_is_a_shell_here(held: Held) -> None:
    reader, writer = await held.driver.console(held.hold)
    writer.write(b"echo the$((1 + 1))nd\n")
    await writer.drain()
    seen = b""
    while b"the2nd" not in seen:
        data = await reader.read(4096)
        assert data, seen
        seen += data
    writer.close()


async def test_a_port_is_reached_and_one_on_which_nothing_listens_is_told(held: Held) -> None:
    reader, writer = await held.driver.dial(held.hold, held.connection, 7)
    writer.write(b"echo me")
    seen = b""
    while len(seen) < len(b"echo me"):
        seen += await reader.read(64)
    assert seen == b"echo me"
    writer.close()
    with pytest.raises(DriverError, match="nothing listens on port 1 "):
        await held.driver.dial(held.hold, held.connection, 1)


async def test_keys_are_in_files_that_only_the_manager_reads(held: Held) -> None:
    folder = held.driver._folder / held.hold.id
    assert folder.stat().st_mode & 0o077 == 0
    shown = command_line(pid_of(held.driver, held.hold.id))
    assert "PRIVATE KEY" in (folder / "key").read_text()
    for line in (folder / "key").read_text().splitlines():
        assert line not in shown


async def test_power_is_switched_and_comes_back_also_when_the_guest_switched_it_off(
    held: Held,
) -> None:
    made, instance = held.driver, Instance.of(held.hold)
    pid = pid_of(made, held.hold.id)
    await held.run("echo 1 > /tmp/before")
    await made.power(Power.OFF, held.hold, NOBODY)
    assert not await made.is_well(instance)
    await made.power(Power.ON, held.hold, NOBODY)
    assert await made.is_well(instance)
    assert await calls.prepare(made, held.hold, NOBODY) == held.connection
    assert await held.run("ls /tmp") == ""

    _, writer = await made.console(held.hold)
    writer.write(b"\npoweroff -f\n")

    async def is_off() -> bool:
        return not await made.is_well(instance)

    await eventually(is_off, within=BOOT_S)
    writer.close()
    await made.power(Power.CYCLE, held.hold, NOBODY)
    assert await calls.prepare(made, held.hold, NOBODY) == held.connection
    assert pid_of(made, held.hold.id) == pid


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


async def test_a_disk_is_as_large_as_asked_and_never_smaller_than_its_image(
    tmp_path: Path,
) -> None:
    base = tmp_path / "base.qcow2"
    program("qemu-img", "create", "-q", "-f", "qcow2", str(base), "64M")
    made = driver(tmp_path, base=str(base), ready="start")
    sizes = []
    for asked in (0, 32 * MIB, 96 * MIB):
        await made.make(replace(Instance.of(hold()), disk_bytes=asked), NOBODY)
        about = about_disk(made)
        assert about["backing-filename-format"] == "qcow2"
        sizes.append(about["virtual-size"] // MIB)
        await made.destroy("hyper.7", NOBODY)
    assert sizes == [64, 64, 96]


async def test_what_is_raw_is_raw_whatever_a_guest_wrote_into_it(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.write_bytes(b"KDMV".ljust(MIB, b"\0"))  # begins as a disk of another program
    made = driver(tmp_path, base=str(base), ready="start")
    await made.make(Instance.of(hold()), NOBODY)
    assert about_disk(made)["backing-filename-format"] == "raw"
    await made.destroy("hyper.7", NOBODY)


async def test_a_missing_file_is_told_at_the_check_and_when_a_machine_is_made(
    tmp_path: Path,
) -> None:
    made = driver(tmp_path, base="/nowhere/base.qcow2")
    for call in (made.check(), made.make(Instance.of(hold()), NOBODY)):
        with pytest.raises(DriverError, match=r"/nowhere/base.qcow2: No such file"):
            await call
    assert not await made.existing()


async def test_what_qemu_says_is_told_and_too_little_memory_is_later(tmp_path: Path) -> None:
    image = guest_image().options | {"ready": "start"}
    options = {"accel": "tcg", "folder": str(tmp_path), "images": {"tiny": image}}
    made = of_options(options | {"arguments": ["-nonsense"]})
    with pytest.raises(DriverError, match=r"QEMU does not start: .*nonsense"):
        await made.make(Instance.of(hold()), NOBODY)
    await made.destroy("hyper.7", NOBODY)

    limited = tmp_path / "limited-x86_64"
    limited.write_text('#!/bin/sh\nulimit -v 4000000; exec qemu-system-x86_64 "$@"\n')
    limited.chmod(0o755)
    made = of_options(options | {"program": str(limited)})
    huge = replace(Instance.of(hold()), share=Share(1, 8192 * MIB))
    with pytest.raises(Later, match="Cannot allocate memory"):
        await made.make(huge, NOBODY)
    await made.destroy("hyper.7", NOBODY)


async def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match="cannot be the name"):
        await driver(tmp_path).destroy("../other", NOBODY)


async def test_an_accelerator_that_works_passes_the_trial_and_others_are_told() -> None:
    guest_image()
    assert await _kvm.trial("qemu-system-x86_64", "tcg") == ""
    assert "no-such" in await _kvm.trial("qemu-system-x86_64", "no-such")
    assert "cannot be started" in await _kvm.trial("no-such-qemu", "tcg")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("options: {images: {a: {base: /b}}}", "static.vm.cpu: is needed by driver qemu"),
        ("cpu: 1, options: {images: {a: {base: /b}}}", "static.vm.mem: is needed"),
        ("cpu: 1, mem: 1GiB, options: {images: {}}", "options.images: "),
        ("cpu: 1, mem: 1GiB, options: {images: {a: {user: x}}}", "needs `base`"),
        ("cpu: 1, mem: 1GiB, options: {images: {a: {base: /b, initrd: /i}}}", "need `kernel`"),
        ("cpu: 1, mem: 1GiB, options: {images: {a: {base: /b, ready: now}}}", "should be `ssh`"),
        ("cpu: 1, mem: 1GiB, options: {images: {a: {base: /b}}, accel: kvn}", "options.accel: "),
        (
            "cpu: 1, mem: 1GiB, options: {images: {a: {base: /b}}, listen: 0.0.0.0}",
            "options.listen: should be an IPv4 address that holders reach",
        ),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_place(entry: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(f"resources:\n  static:\n    vm: {{driver: qemu, {entry}}}\n")
    assert "resources.yml:3:" in str(caught.value)
    assert words in str(caught.value)
