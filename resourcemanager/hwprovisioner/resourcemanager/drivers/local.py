"""Driver `local`: the machine that the manager runs on."""

from __future__ import annotations

from typing import ClassVar

from hwprovisioner.resourcemanager.driver import Driver, Report
from hwprovisioner.resourcemanager.drivers import _detect
from hwprovisioner.resourcemanager.model import Connection, Facts, Hold, Kind
from hwprovisioner.resourcemanager.threads import in_thread


class LocalDriver(Driver):
    """Lends this machine as it is; there is nothing to ready up and nothing to clean."""

    default_kind: ClassVar[Kind | None] = Kind.PHYSICAL_SERVER

    async def describe(self) -> Facts:
        """Return what this machine has, as far as this process may use it."""
        gpus = await _detect.gpus()
        return Facts(
            cpus=_detect.cpus(),
            memory_bytes=await in_thread(_detect.memory_bytes),
            gpus=gpus,
            os=await in_thread(_detect.operating_system),
        )

    async def prepare(self, hold: Hold, report: Report) -> Connection:
        """Hand this machine over: commands run where the holder is."""
        return Connection(protocol="local")
