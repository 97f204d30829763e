"""The disk of a machine: an overlay on its image's, so that cleaning it is deleting it."""

from __future__ import annotations

import json
from pathlib import Path

from hwprovisioner.resourcemanager.drivers import _script
from hwprovisioner.resourcemanager.threads import in_thread

_QCOW2 = b"QFI\xfb"


async def make_disk(disk: Path, base: Path | None, least_bytes: int) -> bool:
    """Make a disk, on a base or empty, of at least so many bytes; return whether there is one.

    Raises:
        DriverError: It cannot be made.
    """
    if base is None:
        if least_bytes:
            await _img("create", "-q", "-f", "qcow2", str(disk), str(least_bytes))
        return bool(least_bytes)
    form = await in_thread(_format, base)
    size = []
    if least_bytes:
        # Shared: other machines have it open.
        about = await _img("info", "-U", "-f", form, "--output=json", str(base))
        size = [str(max(least_bytes, int(json.loads(about)["virtual-size"])))]
    await _img("create", "-q", "-f", "qcow2", "-F", form, "-b", str(base), str(disk), *size)
    return True


async def _img(*words: str) -> bytes:
    return await _script.run(("qemu-img", *words), b"", lambda line: None)


def _format(base: Path) -> str:
    # What is no qcow2 is raw: QEMU must not guess, for what a guest wrote could say anything.
    with base.open("rb") as file:
        return "qcow2" if file.read(len(_QCOW2)) == _QCOW2 else "raw"
