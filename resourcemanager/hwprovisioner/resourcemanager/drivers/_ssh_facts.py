"""What a machine is, as it says itself by SSH."""

from __future__ import annotations

import asyncssh

from hwprovisioner.resourcemanager.drivers._detect import parse_nvidia_smi, parse_os_release
from hwprovisioner.resourcemanager.drivers._ssh_commands import run_script
from hwprovisioner.resourcemanager.model import Facts, Gpu, OperatingSystem

#: What the machine does not have a program for stays unsaid.
_SCRIPT = r"""
part() { echo "== $1"; shift; "$@" 2>/dev/null; }
part system uname -s
part kernel uname -r
part cpus getconf _NPROCESSORS_ONLN
part memory awk '/^MemTotal:/ { print $2 * 1024 }' OFMT=%.0f CONVFMT=%.0f /proc/meminfo
part release cat /etc/os-release
command -v nvidia-smi >/dev/null && part nvidia timeout 10 nvidia-smi \
    --query-gpu=name,memory.total --format=csv,noheader,nounits
command -v lspci >/dev/null && part cards lspci -mm
exit 0
"""

#: The classes of lspci that are cards to compute or draw with.
_CLASSES = ("VGA compatible controller", "3D controller", "Display controller")
#: What is known by a short name; other makers are not cards that anybody asks for.
_BRANDS = {"nvidia": "nvidia", "advanced micro devices": "amd", "intel": "intel"}


async def facts(connection: asyncssh.SSHClientConnection) -> Facts:
    """Ask a machine what it is.

    Raises:
        DriverError: It does not answer.
    """
    return parse(await run_script(connection, _SCRIPT))


def parse(text: str) -> Facts:
    """Return what a machine has said of itself."""
    parts = _parts(text)
    cpus, memory = parts.get("cpus", "").strip(), parts.get("memory", "").strip()
    return Facts(
        cpus=int(cpus) if cpus.isdecimal() else None,
        memory_bytes=int(memory) if memory.isdecimal() else None,
        gpus=_gpus(parts),
        os=_system(parts),
    )


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for section in f"\n{text}".split("\n== ")[1:]:
        name, _, rest = section.partition("\n")
        parts[name.strip()] = rest
    return parts


def _system(parts: dict[str, str]) -> OperatingSystem | None:
    family = parts.get("system", "").strip().lower()
    if not family:
        return None
    kernel = parts.get("kernel", "").strip()
    release = parse_os_release(parts.get("release", ""))
    if not release:
        return OperatingSystem(family=family, version=kernel, kernel=kernel)
    return OperatingSystem(family, release.get("ID", ""), release.get("VERSION_ID", ""), kernel)


def _gpus(parts: dict[str, str]) -> tuple[Gpu, ...] | None:
    """Return the cards as nvidia-smi names them, else as lspci does; `None` without either."""
    if cards := parse_nvidia_smi(parts.get("nvidia", "")):
        return cards
    if "cards" not in parts:
        return None
    return tuple(gpu for line in parts["cards"].splitlines() if (gpu := parse_lspci(line)))


def parse_lspci(line: str) -> Gpu | None:
    """Return the card in a line of `lspci -mm`, `None` if it is none of a known maker."""
    words = line.split('"')[1::2]
    if len(words) < 3 or words[0] not in _CLASSES:
        return None
    maker = words[1].lower()
    brand = next((short for name, short in _BRANDS.items() if maker.startswith(name)), "")
    # `AD104 [GeForce RTX 4070]`: people ask for what stands in the brackets.
    name = words[2].rpartition("[")[2].rstrip("] ")
    return Gpu(brand, _model(name)) if brand else None


def _model(name: str) -> str:
    words = name.lower().split(" / ")[0].split()
    return "".join(word for word in words if word not in ("geforce", "quadro", "radeon"))
