"""A driver that makes folders: real things that outlive the process that made them.

As a driver of a real manager it needs no more than its options; a test in the manager's own process
has a `Workshop` and says what goes wrong.
"""

import asyncio
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from hwprovisioner.resourcemanager import Connection, Driver, Hold, Kind, Report
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import (
    Care,
    Division,
    Facts,
    Instance,
    Makes,
    Resource,
    Share,
    TimeLimits,
    WarmPool,
)
from hwprovisioner.resourcemanager.schema import Section


class FolderOptions(Section):
    """Where the instances are."""

    folder: str
    note: str = ""


class FolderMaker(Maker):
    """An instance is a folder; it is up when there is a file `up` in it."""

    Options: ClassVar[type[BaseModel]] = FolderOptions
    default_kind: ClassVar[Kind | None] = Kind.CONTAINER

    @property
    def makes(self) -> Makes:
        return Makes(images=("small", "large"))

    @property
    def folder(self) -> Path:
        assert isinstance(self.resource.options, FolderOptions)
        return Path(self.resource.options.folder) / self.resource.mark / self.resource.name

    async def make(self, instance: Instance, report: Report) -> None:
        home = self.folder / instance.name
        if (home / "up").exists():
            return
        home.mkdir(parents=True, exist_ok=True)
        (home / "image").write_text(instance.image)
        (home / "up").touch()

    async def hand_over(self, instance: Instance, hold: Hold, report: Report) -> Connection:
        holders = self.folder / instance.name / "holders"
        with holders.open("a") as record:
            record.write(f"{hold.id}\n")
        # What outlives the instance: who ever had which.
        with self.folder.with_suffix(".handed").open("a") as record:
            record.write(f"{instance.name} {hold.id}\n")
        return Connection("folder", address=instance.name)

    async def destroy(self, name: str, report: Report) -> None:
        shutil.rmtree(self.folder / name, ignore_errors=True)

    async def existing(self) -> Collection[str]:
        return [path.name for path in self.folder.glob("*")]


@dataclass
class Workshop:
    """What the makers of a test do beyond making folders, and what was done with them."""

    folder: Path
    calls: list[str] = field(default_factory=list)
    #: A call waits at the gate of its action, or of its action and instance, until it is open.
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    #: What the next calls of an action say; each entry is used once, `None` does nothing.
    failures: dict[str, list[Exception | None]] = field(default_factory=dict)
    unwell: set[str] = field(default_factory=set)
    #: How many instances there were at the busiest moment.
    most: int = 0

    def gate(self, action: str) -> asyncio.Event:
        return self.gates.setdefault(action, asyncio.Event())

    def there(self, resource: str = "rack") -> set[str]:
        return {path.name for path in (self.folder / resource).glob("*")}

    def pooled(self, resource: str = "rack") -> set[str]:
        """Return what is up of the pool's, and was never handed over."""
        paths = list((self.folder / resource).glob("*.pool-*"))
        up = [path for path in paths if (path / "up").exists()]
        return {path.name for path in up if not (path / "holders").exists()}

    async def act(self, action: str, name: str) -> None:
        self.calls.append(f"{action} {name}")
        for gate in (action, f"{action} {name}"):
            if gate in self.gates:
                await self.gates[gate].wait()
        if self.failures.get(action) and (failure := self.failures[action].pop(0)) is not None:
            raise failure

    def load(self, name: str) -> type[Driver]:
        workshop = self

        class WatchedMaker(FolderMaker):
            async def make(self, instance: Instance, report: Report) -> None:
                (self.folder / instance.name).mkdir(parents=True, exist_ok=True)
                workshop.most = max(workshop.most, len(workshop.there(self.resource.name)))
                of_pool = ".pool-" in instance.name
                await workshop.act("fill" if of_pool else "make", instance.name)
                await super().make(instance, report)

            async def hand_over(self, instance: Instance, hold: Hold, report: Report) -> Connection:
                await workshop.act("hand over", instance.name)
                return await super().hand_over(instance, hold, report)

            async def destroy(self, name: str, report: Report) -> None:
                await workshop.act("destroy", name)
                await super().destroy(name, report)

            async def is_well(self, instance: Instance) -> bool:
                return instance.name not in workshop.unwell and await super().is_well(instance)

            async def existing(self) -> Collection[str]:
                await workshop.act("existing", "")
                return await super().existing()

        return WatchedMaker

    def rack(
        self,
        pool: WarmPool | None = None,
        *,
        instances: int = 4,
        cpus: int | None = None,
        note: str = "",
        limit_s: float = 30.0,
    ) -> dict[str, Resource]:
        """Return one divisible resource, called `rack`."""
        resource = Resource(
            name="rack",
            kind=Kind.CONTAINER,
            driver="folder",
            declared=Facts(cpus=cpus),
            division=Division(instances),
            options=FolderOptions(folder=str(self.folder), note=note),
            time_limits=TimeLimits(limit_s, limit_s, limit_s, limit_s),
            check_every_s=0.05,
            care=Care(facts_every_s=0.05),
            pool=pool,
        )
        return {"rack": resource}


def warm(least: int, most: int = 0, *, idle_s: float = 3600.0, cpus: int = 1) -> WarmPool:
    return WarmPool(least, max(least, most), idle_s, Share(cpus=cpus))


def holder_of(home: Path) -> list[str]:
    file = home / "holders"
    return file.read_text().split() if file.exists() else []
