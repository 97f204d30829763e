"""Virtual machines of the driver `qemu`, with the guest that boots in seconds."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from hwprovisioner.resourcemanager import Hold, Share, parse_config
from hwprovisioner.resourcemanager.drivers.qemu import QemuDriver
from support.guest_image import guest_image

MIB = 1024**2
NOBODY: Callable[[str], None] = lambda line: None  # noqa: E731
#: A guest on a busy machine takes a while.
BOOT_S = 120.0


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


def program(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout
