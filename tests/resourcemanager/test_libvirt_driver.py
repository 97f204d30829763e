"""Driver `libvirt` with a real libvirtd and real machines, which have no network there."""

import asyncio
import itertools
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pycdlib
import pytest

from hwprovisioner.resourcemanager import ConfigError, DriverError, Hold, Share, calls, parse_config
from hwprovisioner.resourcemanager.driver import Channel, Reader
from hwprovisioner.resourcemanager.loading import load_driver
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import Instance, Power
from support import libvirtd, needs
from support.conformance import LIMIT_S
from support.eventually import eventually
from support.guest_image import guest_image

_libvirt_host = pytest.importorskip("hwprovisioner.resourcemanager.drivers._libvirt_host")

pytestmark = [pytest.mark.timeout(LIMIT_S), pytest.mark.xdist_group("libvirt")]

MIB = 1024**2
HOLD = Hold("rack.7", "rack", 7, Share(2, 200 * MIB))
NOBODY: Callable[[str], None] = lambda line: None  # noqa: E731


@pytest.fixture(scope="module")
def host() -> Iterator[libvirtd.Libvirtd]:
    image = guest_image()
    with libvirtd.running() as host:
        for file in (image.kernel, image.initrd):
            shutil.copy(file, host.folder)
        base = host.folder / "pool" / "base.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", base, "64M"], check=True)
        base.chmod(0o644)
        libvirt = needs.module("libvirt")
        opened = libvirt.open(host.uri)
        opened.storagePoolLookupByName("default").refresh(0)
        opened.close()
        yield host


def driver(host: libvirtd.Libvirtd, **image: object) -> Maker:
    files = {name: str(host.folder / file) for name, file in FILES.items()}
    said = {"append": "console=ttyS0 quiet", "user": "root", "ready": "start", **files, **image}
    options = {"uri": host.uri, "type": "qemu", "network": "", "images": {"tiny": said}}
    limits = "limits: {cpu: 4, mem: 1GiB, instances: 4}, default: {cpu: 1, mem: 128MiB}"
    text = f"rack: {{driver: libvirt, {limits}, options: {json.dumps(options)}}}"
    resource = parse_config(f"resources: {{dynamic: {{{text}}}}}").resources["rack"]
    made = load_driver("libvirt")(replace(resource, mark="ours"))
    assert isinstance(made, Maker)
    return made


FILES = {"base": "pool/base.qcow2", "kernel": "vmlinuz", "initrd": "initrd"}


def volumes(host: libvirtd.Libvirtd) -> set[str]:
    return {file.name for file in (host.folder / "pool").iterdir()} - {"base.qcow2"}


def about(disk: Path) -> dict[str, object]:
    command = ["qemu-img", "info", "-U", "--output=json", str(disk)]
    found: dict[str, object] = json.loads(
        subprocess.run(command, check=True, capture_output=True).stdout
    )
    return found


async def test_a_machine_runs_on_an_overlay_is_switched_and_leaves_nothing(
    host: libvirtd.Libvirtd,
) -> None:
    base = host.folder / "pool" / "base.qcow2"
    before = base.read_bytes()
    made = driver(host)
    await calls.check(made)
    connection = await calls.prepare(made, HOLD, NOBODY)
    assert connection.protocol == "libvirt"
    assert connection.properties == {"uri": host.uri, "domain": "hwp-ours-rack.7"}
    disk = about(host.folder / "pool" / "hwp-ours-rack.7.qcow2")
    assert disk["backing-filename"] == str(base)
    assert disk["virtual-size"] == 64 * MIB
    instance = Instance.of(HOLD)
    assert await made.is_well(instance)
    await made.power(Power.OFF, HOLD, NOBODY)
    assert not await made.is_well(instance)
    await made.power(Power.CYCLE, HOLD, NOBODY)
    assert await made.is_well(instance)
    await calls.clean(made, HOLD, NOBODY)
    assert not await made.existing()
    assert not volumes(host)
    assert base.read_bytes() == before


async def test_cancelled_while_it_boots_it_does_not_run_on_and_its_seed_goes_with_it(
    host: libvirtd.Libvirtd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWP_STATE_DIR", str(tmp_path))
    made = driver(host, ready="ssh")
    lines: list[str] = []
    task = asyncio.create_task(calls.prepare(made, HOLD, lines.append))
    await eventually(lambda: "waiting for SSH" in lines, within=60.0)
    assert volumes(host) == {"hwp-ours-rack.7.qcow2", "hwp-ours-rack.7.iso"}
    assert hosts_name_in(host.folder / "pool" / "hwp-ours-rack.7.iso") == "rack-7"
    keys = tmp_path / "libvirt" / "ours" / "rack" / "rack.7"
    assert "PRIVATE KEY" in (keys / "key").read_text()
    assert keys.stat().st_mode & 0o077 == 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await made.existing() == ["rack.7"]
    assert not await made.is_well(Instance.of(HOLD))
    await calls.clean(made, HOLD, NOBODY)
    assert not await made.existing()
    assert not volumes(host)
    assert not keys.exists()


def hosts_name_in(seed: Path) -> str:
    disk = pycdlib.PyCdlib()
    disk.open(str(seed))
    with disk.open_file_from_iso(rr_path="/meta-data") as file:
        meta = json.loads(file.read())
    disk.close()
    return str(meta["local-hostname"])


async def test_what_is_missing_on_the_host_is_told(host: libvirtd.Libvirtd) -> None:
    for made in (driver(host, base="/nowhere.qcow2"),):
        for call in (calls.check(made), calls.prepare(made, HOLD, NOBODY)):
            with pytest.raises(DriverError, match=r"/nowhere.qcow2 is no volume .* pool-refresh"):
                await call
        await calls.clean(made, HOLD, NOBODY)
        assert not await made.existing()


async def said(reader: Reader, text: bytes) -> bytes:
    """Read until a text has come."""
    seen = b""
    while text not in seen:
        data = await reader.read(4096)
        assert data, seen
        seen += data
    return seen


async def test_its_console_is_its_serial_port_and_one_at_a_time_has_it(
    host: libvirtd.Libvirtd,
) -> None:
    made = driver(host)
    assert made.has_console
    await calls.prepare(made, HOLD, NOBODY)
    try:
        reader, writer = await calls.console(made, HOLD)
        await said(reader, b"is up")
        with pytest.raises(DriverError, match="Active console session exists"):
            await calls.console(made, HOLD)
        writer.write(b"echo $((6 * 7))-\n")
        await writer.drain()
        await said(reader, b"42-")
        ended = asyncio.create_task(reader.read(1))
        writer.close()
        writer.close()
        assert await ended == b""

        async def again() -> bool:
            try:
                channels.append(await calls.console(made, HOLD))
            except DriverError:
                return False
            return True

        channels: list[Channel] = []
        await eventually(again)
        reader, writer = channels[0]
        writer.write(b"echo $((7 * 8))-\n")
        await said(reader, b"56-")
        # The machine's end is the console's; who types then is not kept waiting.
        await made.power(Power.OFF, HOLD, NOBODY)
        while await reader.read(4096):
            pass
        assert await reader.read(1) == b""
        writer.write(b"anybody?\n")
        await writer.drain()
        writer.close()
        with pytest.raises(DriverError, match="does not run; `hwp power on` starts it"):
            await calls.console(made, HOLD)
    finally:
        await calls.clean(made, HOLD, NOBODY)


async def test_a_console_that_is_opened_when_nobody_waits_any_more_is_left_to_the_next(
    host: libvirtd.Libvirtd,
) -> None:
    made = driver(host)
    await calls.prepare(made, HOLD, NOBODY)
    try:
        for _ in range(5):
            opening = asyncio.create_task(made.console(HOLD))
            await asyncio.sleep(0)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
        _, writer = await calls.console(made, HOLD)
        writer.close()
    finally:
        await calls.clean(made, HOLD, NOBODY)


async def test_a_host_that_hangs_is_told_and_takes_nothing_from_the_others(
    host: libvirtd.Libvirtd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_libvirt_host, "_hosts", {})
    for name in ("_KEEPALIVE_S", "_KEEPALIVES", "_CONNECT_S"):
        monkeypatch.setattr(_libvirt_host, name, 1)
    made = driver(host)
    await calls.check(made)
    os.kill(host.pid, signal.SIGSTOP)
    said = []
    try:
        # More than asyncio has threads.
        hung = [asyncio.create_task(calls.check(made)) for _ in range(40)]
        assert await asyncio.to_thread(lambda: "a thread") == "a thread"
        for task in itertools.islice(asyncio.as_completed(hung), len(hung) - 1):
            with pytest.raises(DriverError) as caught:
                await task
            said.append(str(caught.value))
    finally:
        os.kill(host.pid, signal.SIGCONT)
    # One call had the connection that there was, and one is still at making another.
    assert sum("closed due to keepalive timeout" in words for words in said) == 1
    assert sum("does not answer; does `virsh -c" in words for words in said) == len(hung) - 2
    await asyncio.gather(*hung, return_exceptions=True)
    await calls.check(made)


def test_waiting_for_a_console_is_refused_with_its_place() -> None:
    needs.module("libvirt")
    options = "{images: {a: {base: /b, ready: {console: up}}}}"
    with pytest.raises(ConfigError) as caught:
        parse_config(
            "resources:\n  static:\n"
            f"    vm: {{driver: libvirt, cpu: 1, mem: 1GiB, options: {options}}}\n"
        )
    assert "resources.yml:3:" in str(caught.value)
    assert "should be `ssh` or `start`" in str(caught.value)
