"""What a driver is that makes what it lends: virtual machines, containers, cloud instances."""

from __future__ import annotations

import abc
from collections.abc import Collection

from hwprovisioner.resourcemanager.driver import Driver, Report
from hwprovisioner.resourcemanager.model import Connection, Hold, Instance


class Maker(Driver):
    """Base of drivers that make an instance for each hold, of what `Instance` says.

    They say how one is made, handed over and destroyed. What is made when, for whom, and what is
    kept ready for those to come (a warm pool), is not theirs to say: see `instances.py`.

    What a hold has is called `Hold.instance`, not `Hold.id`: it may come from the pool.

    As with all drivers, each method may be called again for the same instance, after a crash even
    while what it began is still there: name what is made after `Instance.name`, and mark it with
    `Resource.name` and `Resource.mark`, so that `existing` finds it. Another manager may make
    instances of the same name for a resource of the same name, in the same place: only the mark is
    another, and what bears another one is not to be touched.
    """

    @abc.abstractmethod
    async def make(self, instance: Instance, report: Report) -> None:
        """Make an instance and return when it is up. If it is there and whole, it is left as it is.

        Raises:
            Later: It cannot be made now, but may be soon: a quota is used up. It is tried again.
            DriverError: It cannot be made. What there is of it is destroyed.
        """

    @abc.abstractmethod
    async def hand_over(self, instance: Instance, hold: Hold, report: Report) -> Connection:
        """Let a holder in to an instance that is up; return how they reach it.

        Raises:
            DriverError: It cannot be handed over. The instance is destroyed.
        """

    @abc.abstractmethod
    async def destroy(self, name: str, report: Report) -> None:
        """Destroy an instance and all that belongs to it, however far it came, or if it never was.

        Raises:
            DriverError: It did not work; it is tried again, within the limits of cleaning.
        """

    @abc.abstractmethod
    async def existing(self) -> Collection[str]:
        """Return the names of the instances of this resource that there are, whole or not.

        Those of another mark are not among them: what nobody knows is destroyed, and until then
        nothing is lent.

        Raises:
            DriverError: It cannot be found out.
        """

    async def is_well(self, instance: Instance) -> bool:
        """Say whether an instance that waits for a holder can still be handed over."""
        return instance.name in await self.existing()

    async def prepare(self, hold: Hold, report: Report) -> Connection:
        """Make an instance for the hold, and hand it over."""
        instance = Instance.of(hold)
        await self.make(instance, report)
        return await self.hand_over(instance, hold, report)

    async def clean(self, hold: Hold, report: Report) -> None:
        """Destroy what was made for the hold: cleaning is destroying."""
        await self.destroy(hold.instance, report)
