"""The disk of a machine: an overlay on its image's, so that cleaning it is deleting it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from hwprovisioner.resourcemanager.drivers._programs import output

_IMG = "qemu-img"
_QCOW2 = b"QFI\xfb"


async def make_disk(disk: Path, base: Path | None, least_bytes: int) -> bool:
    """Make a disk, on a base or empty, of at least so many bytes; return whether there is one.

    Raises:
        DriverError: It cannot be made.
    """
    if base is None:
        if least_bytes:
            await output((_IMG, "create", "-q", "-f", "qcow2", str(disk), str(least_bytes)))
        return bool(least_bytes)
    form = await asyncio.to_thread(_format, base)
    size = []
    if least_bytes:
        # Shared: other machines have it open.
        about = await output((_IMG, "info", "-U", "-f", form, "--output=json", str(base)))
        size = [str(max(least_bytes, int(json.loads(about)["virtual-size"])))]
    await output(
        (_IMG, "create", "-q", "-f", "qcow2", "-F", form, "-b", str(base), str(disk), *size)
    )
    return True


def _format(base: Path) -> str:
    # What is no qcow2 is raw: QEMU must not guess, for what a guest wrote could say anything.
    with base.open("rb") as file:
        return "qcow2" if file.read(len(_QCOW2)) == _QCOW2 else "raw"
