"""Driver `ssh` with a real sshd: what a machine tells of itself, and whether it is well."""

import os
from typing import Any

import pytest

from hwprovisioner.resourcemanager import DriverError, calls
from hwprovisioner.resourcemanager.drivers._ssh_facts import parse
from hwprovisioner.resourcemanager.model import Facts, Gpu, OperatingSystem
from support.ssh_driver import driver_for
from support.sshd import Sshd


async def test_facts_are_those_that_the_machine_tells(ssh_server: Sshd) -> None:
    found = await calls.describe(driver_for(ssh_server))
    # The machine is this one.
    assert found.cpus
    assert found.memory_bytes == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert found.os is not None
    assert found.os.family == "linux"
    assert found.os.version
    assert found.os.kernel == os.uname().release


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("", Facts()),
        (
            "== system\nDarwin\n== kernel\n23.1\n== cpus\n10\n",
            Facts(cpus=10, os=OperatingSystem("darwin", "", "23.1", "23.1")),
        ),
        (
            "== system\nLinux\n== kernel\n6.1.0-18-amd64\n"
            '== release\nID=debian\nVERSION_ID="12"\n== nvidia\n'
            "Quadro RTX 4000, 8192\n== cards\n",
            Facts(
                os=OperatingSystem("linux", "debian", "12", "6.1.0-18-amd64"),
                gpus=(Gpu("nvidia", "rtx4000", 8192 * 1024**2),),
            ),
        ),
        (
            "== nvidia\nno driver\n== cards\n"
            '01:00.0 "VGA compatible controller" "NVIDIA Corporation" "AD104 [RTX 4070]" ""\n'
            '00:02.0 "VGA compatible controller" "Red Hat, Inc." "Virtio GPU" ""\n'
            '00:1f.0 "ISA bridge" "Intel Corporation" "C246" ""\n',
            Facts(gpus=(Gpu("nvidia", "rtx4070"),)),
        ),
        ("== cards\n", Facts(gpus=())),
        ("== cpus\nmany\n== memory\n-1\n", Facts()),
    ],
)
def test_what_a_machine_tells_is_read(text: str, facts: Facts) -> None:
    assert parse(text) == facts


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"check": ["echo card fell off >&2; exit 1"]}, "status 1: card fell off"),
        ({"disk_free": {"/": "1000TiB"}}, r"are free at /, 1e\+03 TiB are needed"),
        ({"disk_free": {"/no/such/place": "1MiB"}}, "cannot be found out"),
        ({"temperature": {"run": "echo 81.5", "below": "80"}}, "81.5 degrees, below 80 are needed"),
        ({"temperature": {"run": "echo nan", "below": "80"}}, "nan degrees"),
        ({"temperature": {"run": "echo warm", "below": "80"}}, "prints no number"),
    ],
)
async def test_a_machine_that_is_not_well_says_why(
    ssh_server: Sshd, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(DriverError, match=words):
        await calls.check(driver_for(ssh_server, **options))


async def test_a_machine_on_which_all_checks_succeed_is_well(ssh_server: Sshd) -> None:
    await calls.check(
        driver_for(
            ssh_server,
            check=["true", {"run": "true", "timeout": "10s"}],
            disk_free={"/": "1KiB"},
            temperature={"run": "echo temp: 45", "below": "80"},
        )
    )
