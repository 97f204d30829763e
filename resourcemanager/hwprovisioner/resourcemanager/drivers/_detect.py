"""What this machine is: processors, memory, graphics cards, operating system."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import shutil
from pathlib import Path

from hwprovisioner.resourcemanager.model import Gpu, OperatingSystem

#: A driver in trouble lets nvidia-smi hang for minutes.
_NVIDIA_SMI_LIMIT_S = 10.0


def cpus() -> int:
    """Return how many logical processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes(cgroup: Path = Path("/sys/fs/cgroup/memory.max")) -> int | None:
    """Return the main memory, or what this control group may use of it."""
    try:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None
    with contextlib.suppress(OSError, ValueError):
        return min(whole, int(cgroup.read_text()))
    return whole


def operating_system(release: Path = Path("/etc/os-release")) -> OperatingSystem:
    """Return what os-release says, or what Python knows where there is none."""
    family, kernel = platform.system().lower(), platform.release()
    try:
        words = parse_os_release(release.read_text(errors="replace"))
    except OSError:
        return OperatingSystem(family=family, version=kernel, kernel=kernel)
    return OperatingSystem(family, words.get("ID", ""), words.get("VERSION_ID", ""), kernel)


def parse_os_release(text: str) -> dict[str, str]:
    """Return the settings of an os-release file, without their quotes."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


async def gpus(command: str = "nvidia-smi") -> tuple[Gpu, ...] | None:
    """Return the cards that nvidia-smi names; `None` if it is not there or does not answer."""
    program = shutil.which(command)
    if program is None:
        return None
    process = await asyncio.create_subprocess_exec(
        program,
        "--query-gpu=name,memory.total",
        "--format=csv,noheader,nounits",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(_NVIDIA_SMI_LIMIT_S):
            out, _ = await process.communicate()
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            process.kill()
    return parse_nvidia_smi(out.decode(errors="replace")) if process.returncode == 0 else None


def parse_nvidia_smi(text: str) -> tuple[Gpu, ...]:
    """Return the cards in lines such as `Quadro RTX 4000, 8192`; the memory is in MiB."""
    cards = []
    for line in text.splitlines():
        name, _, memory = line.rpartition(",")
        if name:
            size = int(memory) if memory.strip().isdecimal() else 0
            cards.append(Gpu("nvidia", model_word(name), size * 1024**2))
    return tuple(cards)


def model_word(name: str) -> str:
    """Return a card's name as demands write it: `NVIDIA Quadro RTX 4000` is `rtx4000`."""
    words = [word for word in name.lower().split() if word not in ("nvidia", "quadro", "geforce")]
    return "".join(words)
