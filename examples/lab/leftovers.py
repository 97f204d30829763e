"""Whether anything is left over: asked of the engines and the system, not of the lab."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import cloud
from .processes import output, program

#: In the environment of all that the demo starts: the folder of its own.
MARK = "LAB_DEMO_FOLDER"


async def of_hosts(folder: Path, entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Lists what is left of hosts that were lent, while the engines still run."""
    left = [f"file {path}" for path in _files(folder)]
    if "vm" in entries:
        name = f"{entries['vm']['name']}."
        left += [f"process of a virtual machine: {one}" for one in _processes("cmdline", name)]
    if "server" in entries:
        left += _keys(entries["server"])
    if "container" in entries:
        # The image is this demo's own, whatever the driver writes on containers.
        (image,) = entries["container"]["options"]["images"]
        of_it = ("--filter", f"ancestor={image}")
        listing = await output(program("docker"), "ps", "--all", "--quiet", *of_it)
        left += [f"container {name}" for name in listing.split()]
    if "cloud" in entries:
        url = entries["cloud"]["options"]["endpoint_url"]
        found = await asyncio.to_thread(cloud.instances, url)
        left += [f"instance {name}, {state}" for name, state in found.items()]
    return left


def end_processes(folder: Path) -> list[str]:
    """Ends what still runs of all that was started, and lists it."""
    left = _processes("environ", f"{MARK}={folder}") | _processes("cmdline", str(folder))
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return [f"process {pid}: {words}" for pid, words in left.items()]


def _processes(file: str, text: str) -> dict[int, str]:
    """Gives the command lines of the processes in whose file of /proc a text stands."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        # It may have ended meanwhile, or be another user's.
        with contextlib.suppress(OSError):
            if text.encode() in (process / file).read_bytes() and int(process.name) != os.getpid():
                words = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(process.name)] = words.decode(errors="replace")[:100]
    return found


def _keys(server: Mapping[str, Any]) -> list[str]:
    """Lists who is let in beside the lab itself."""
    allowed = Path(server["options"]["authorized_keys"]).read_text().splitlines()
    own = Path(f"{server['access']['key_file']}.pub").read_text().splitlines()
    return [f"key in authorized_keys: {line}" for line in allowed if line not in own]


def _files(folder: Path) -> Iterator[Path]:
    """Yield what hosts and their holders had: machines' files, the relay, keys."""
    yield from (path for path in folder.glob("machines/**/*") if not path.is_dir())
    yield from folder.glob("relay")
    yield from folder.glob("tmp/*")
