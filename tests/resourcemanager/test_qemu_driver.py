"""Driver `qemu`: a real machine as its holder finds it, and its next manager."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from hwprovisioner.resourcemanager import Connection, DriverError, Hold, calls
from hwprovisioner.resourcemanager.drivers.qemu import QemuDriver
from hwprovisioner.resourcemanager.model import Instance, Power
from support.conformance import LIMIT_S
from support.eventually import eventually
from support.processes import is_alive
from support.qemu_machine import BOOT_S, MIB, NOBODY, driver, hold, pid_of

pytestmark = [pytest.mark.timeout(LIMIT_S), pytest.mark.xdist_group("qemu")]

CLEAN = b"as the lab made it\n"


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


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
