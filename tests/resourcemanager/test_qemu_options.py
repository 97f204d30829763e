"""Driver `qemu`: what its options ask for, and how what is wrong with them is told."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hwprovisioner.resourcemanager import ConfigError, DriverError, Share, parse_config
from hwprovisioner.resourcemanager.drivers import _kvm
from hwprovisioner.resourcemanager.drivers.qemu import QemuDriver
from hwprovisioner.resourcemanager.errors import Later
from hwprovisioner.resourcemanager.model import Instance
from support.conformance import LIMIT_S
from support.guest_image import guest_image
from support.qemu_machine import MIB, NOBODY, driver, hold, of_options, program

pytestmark = [pytest.mark.timeout(LIMIT_S), pytest.mark.xdist_group("qemu")]


def about_disk(driver: QemuDriver) -> dict[str, Any]:
    """Return what qemu-img says of the disk of the only machine."""
    disk = driver._folder / "hyper.7" / "disk.qcow2"
    about: dict[str, Any] = json.loads(
        program("qemu-img", "info", "-U", "--output=json", str(disk))
    )
    return about


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
