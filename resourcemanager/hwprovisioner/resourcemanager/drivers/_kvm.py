"""Whether KVM works here, found out by running something.

/dev/kvm may be there, and fail at the first instruction, or emulate each one by a kernel that is
itself a guest: a thousand times slower, and no use.
"""

from __future__ import annotations

import asyncio
import functools
import os
import tempfile
from pathlib import Path

from hwprovisioner.resourcemanager.drivers._qemu_program import started
from hwprovisioner.resourcemanager.errors import DriverError

_LIMIT_S = 10.0
#: A tenth of a second on a processor: counts 200 million down, then writes 16 to port 0xf4, where a
#: debug device ends QEMU with the status 2 * 16 + 1.
_CODE = bytes.fromhex("66b900c2eb0b 6649 75fc b010 e6f4 ebfe")
_BOOT_SECTOR = _CODE.ljust(510, b"\0") + b"\x55\xaa"
_WORKS = 33


@functools.cache
def _asked(program: str) -> dict[str, str]:
    """Return where the answer for a program is kept, for as long as this process lives."""
    return {}


async def trouble(program: str) -> str:
    """Return why KVM cannot be used by a QEMU, "" if it can. It is tried once."""
    answer = _asked(program)
    if "trouble" not in answer:
        answer["trouble"] = await _trouble(program)
    return answer["trouble"]


async def _trouble(program: str) -> str:
    """Return what keeps a QEMU from using KVM."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "there is no /dev/kvm that we may use"
    if not program.endswith(("x86_64", "i386")):
        # What is tried is a program for PCs.
        return ""
    return await trial(program, "kvm")


async def trial(program: str, accel: str) -> str:
    """Run a little with an accelerator; return what went wrong, "" if nothing did."""
    with tempfile.TemporaryDirectory(prefix="hwp-kvm-") as folder:
        (Path(folder) / "boot").write_bytes(_BOOT_SECTOR)
        command = (
            *(program, "-nodefaults", "-no-user-config", "-display", "none"),
            *("-machine", "pc", "-accel", accel, "-m", "16M"),
            *("-device", "isa-debug-exit,iobase=0xf4,iosize=1"),
            *("-drive", "file=boot,format=raw,if=ide,snapshot=on"),
        )
        try:
            async with asyncio.timeout(_LIMIT_S), started(command, Path(folder)) as process:
                _, said = await process.communicate()
        except TimeoutError:
            return f"a trial did not get anywhere within {_LIMIT_S:g} s"
        except DriverError as error:
            return str(error)
    if process.returncode == _WORKS:
        return ""
    words = [line for line in said.decode(errors="replace").splitlines() if "warning:" not in line]
    return words[0] if words else f"a trial ended with status {process.returncode}"
