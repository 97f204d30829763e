"""A manager with a rack of folders, and offers for it."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from hwprovisioner.resourcemanager import Resource
from hwprovisioner.v1 import demand_pb2, resource_pb2
from support.folder_maker import Workshop
from support.manager import Manager, manager
from support.scripted_lab import ScriptedLab, Session


@contextlib.asynccontextmanager
async def running(
    lab: ScriptedLab, journal_file: Path, shop: Workshop, rack: Mapping[str, Resource]
) -> AsyncIterator[tuple[Manager, Session]]:
    """Run a manager that has volunteered its rack."""
    async with manager(lab.target, journal_file, shop.load, rack) as run:
        session = await lab.session()
        await session.hear("volunteer")
        yield run, session


async def offer(session: Session, hold_id: str, fence: int, image: str = "", **more: Any) -> None:
    share = more.pop("share", resource_pb2.Share(cpus=1))
    demand = demand_pb2.HostDemand(cpus="1")
    if image:
        demand.provisioning.image = image
    await session.offer(hold_id, fence, "rack", share=share, demand=demand, **more)


async def ready(session: Session, hold_id: str) -> str:
    """Wait until a hold is ready, and return the name of what it has."""
    return str((await session.hear("ready", hold_id=hold_id)).connection.address)
