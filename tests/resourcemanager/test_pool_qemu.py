"""A warm pool of real virtual machines: while one is ready, nobody waits for a boot."""

import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hwprovisioner.resourcemanager import Resource, parse_config
from hwprovisioner.resourcemanager.drivers.qemu import QemuDriver
from hwprovisioner.v1 import demand_pb2, resource_pb2
from support import boot_sector
from support.eventually import eventually
from support.guest_image import guest_image
from support.manager import Manager, manager
from support.scripted_lab import Session, scripted_lab

LONG = os.environ.get("HWP_MACHINE") == "long"
MIB = 1024**2
#: A machine that boots at its turn, on a host that is busy and emulates it.
BOOT_S = 240.0
TAKEN = "taken from the warm pool"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE/1zQUdefuN9eu+d/xGtubpxOiMKnBh43c3iW1kbu+7"


def warm(folder: Path, image: Mapping[str, Any], memory: str, at_least: int) -> dict[str, Resource]:
    entry = {
        "driver": "qemu",
        "limits": {"cpu": 12, "mem": "2GiB", "instances": 12},
        "default": {"cpu": 1, "mem": memory},
        "pool": {"min": at_least, "max": 8},
        "options": {
            "accel": "tcg",
            "folder": str(folder / "machines"),
            "images": {"tiny": dict(image)},
        },
    }
    text = json.dumps({"resources": {"dynamic": {"warm": entry}}})
    return dict(parse_config(text).resources)


@contextlib.asynccontextmanager
async def running(
    folder: Path, resources: dict[str, Resource]
) -> AsyncIterator[tuple[Manager, Session]]:
    """Run a manager with real drivers; none of its machines outlives the block."""
    driver = QemuDriver(resources["warm"])
    try:
        async with scripted_lab() as lab:
            # It says nothing while machines boot.
            lab.silence_s = 3600
            async with manager(lab.target, folder / "journal", None, resources) as run:
                session = await lab.session()
                await session.hear("volunteer")
                yield run, session
    finally:
        for name in await driver.existing():
            await driver.destroy(name, lambda line: None)


def told(session: Session, hold_id: str) -> list[str]:
    """Return the progress lines of a hold that were heard, and take them."""
    lines = [
        message
        for message in session.heard
        if message.WhichOneof("event") == "progress" and message.progress.hold.hold_id == hold_id
    ]
    for message in lines:
        session.heard.remove(message)
    return [message.progress.message for message in lines]


async def demand_and_release(run: Manager, session: Session, at: int, memory: int) -> str:
    """Demand a machine once one is ready, and give it back; return which it was."""
    await eventually(lambda: run.journal.pooled, within=BOOT_S)
    ready = set(run.journal.pooled)
    fence, hold_id = 2 * at + 1, f"warm.{2 * at + 1}"
    share = resource_pb2.Share(cpus=1, memory_bytes=memory)
    demand = demand_pb2.HostDemand(cpus="1")
    await session.offer(hold_id, fence, "warm", share=share, demand=demand, ssh_public_key=KEY)
    await session.hear("ready", hold_id=hold_id)
    lines = told(session, hold_id)
    assert TAKEN in lines
    assert not [line for line in lines if line.startswith(("making", "booting"))]
    given = run.journal.holds[hold_id].hold.pooled
    assert given in ready
    await session.release(hold_id, fence + 1, "warm")
    await session.hear("cleaned", hold_id=hold_id)
    return given


async def demands(
    folder: Path, image: Mapping[str, Any], mib: int, count: int, at_least: int = 4
) -> None:
    resources = warm(folder, image, f"{mib}MiB", at_least)
    async with running(folder, resources) as (run, session):
        given = [await demand_and_release(run, session, at, mib * MIB) for at in range(count)]
        assert len(set(given)) == count
        assert set(given).isdisjoint(await QemuDriver(resources["warm"]).existing())


@pytest.mark.timeout(600)
async def test_of_a_hundred_demands_for_a_virtual_machine_none_waits_for_a_boot(
    tmp_path: Path,
) -> None:
    disk = boot_sector.boot_sector(tmp_path)
    image = {"base": str(disk), "ready": {"console": boot_sector.UP}}
    await demands(tmp_path, image, 16, 100)


@pytest.mark.timeout(1_800)
async def test_nor_does_anybody_who_is_let_in_by_ssh(tmp_path: Path) -> None:
    # A hundred boots of Linux, emulated, take minutes of two processors.
    count, at_least = (100, 4) if LONG else (3, 2)
    await demands(tmp_path, guest_image().options, 128, count, at_least)
