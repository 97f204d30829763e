"""Hardware that records itself who readied it up, used it and cleaned it.

A driver in the manager's own process, since a program for each call would be most of the load. What
it does takes a little while, so that whoever is killed is often killed in the middle of it.
"""

import asyncio
import os
import random
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from chaos.history import Recorder
from hwprovisioner.resourcemanager import Connection, Driver, Hold, Kind, Report
from hwprovisioner.resourcemanager.model import Resource
from hwprovisioner.resourcemanager.schema import Section

SLOWEST_S = 0.08


class Options(Section):
    """Where it records."""

    histories: str


class RecordingHardware(Driver):
    """A board that writes down what happens to it."""

    Options: ClassVar[type[BaseModel]] = Options
    default_kind: ClassVar[Kind | None] = Kind.EDGE_DEVICE

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource)
        assert isinstance(resource.options, Options)
        histories = Path(resource.options.histories)
        self._history = Recorder(histories / f"hardware-{os.getpid()}.jsonl", resource.name)

    async def prepare(self, hold: Hold, report: Report) -> Connection:
        self._note("prepare", hold)
        report("powering up")
        await self._work()
        self._note("prepared", hold)
        return Connection(protocol="board", address=self.resource.name)

    async def tear_down(self, hold: Hold, report: Report) -> None:
        self._note("tear_down", hold)

    async def clean(self, hold: Hold, report: Report) -> None:
        self._note("clean", hold)
        await self._work()
        self._note("cleaned", hold)

    def _note(self, action: str, hold: Hold) -> None:
        self._history.write(
            *("hardware",),
            action=action,
            resource=self.resource.name,
            hold=hold.id,
            pid=os.getpid(),
            fence=hold.fence,
            allocation=hold.allocation_id,
        )

    async def _work(self) -> None:
        await asyncio.sleep(random.uniform(0.0, SLOWEST_S))
