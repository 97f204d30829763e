"""What a driver is.

A driver readies one resource up, takes it down again and cleans it. It is found by its name in the
entry point group `hwprovisioner.drivers`; one object serves one resource, for as long as its entry
in resources.yml stays the same.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Callable, Iterable
from typing import ClassVar, Protocol

from pydantic import BaseModel

from hwprovisioner.resourcemanager.errors import DriverError, system_words
from hwprovisioner.resourcemanager.model import (
    Connection,
    Facts,
    Hold,
    Kind,
    Makes,
    NoOptions,
    Power,
    Resource,
    TimeLimits,
)
from hwprovisioner.serving.problems import Path

#: Takes one line about how things go, for whoever waits. Never blocks, never fails.
Report = Callable[[str], None]


class Reader(Protocol):
    """What comes from the other end; `asyncio.StreamReader` is one."""

    async def read(self, n: int = -1) -> bytes:
        """Return up to `n` bytes, none at the end."""
        ...


class Writer(Protocol):
    """What goes to the other end; `asyncio.StreamWriter` is one."""

    def write(self, data: bytes) -> None:
        """Send bytes, some time."""
        ...

    async def drain(self) -> None:
        """Wait until more can be sent."""
        ...

    def write_eof(self) -> None:
        """Say that no more will be sent."""
        ...

    def close(self) -> None:
        """Close both directions."""
        ...


#: Both directions of a connection.
Channel = tuple[Reader, Writer]


class Driver(abc.ABC):
    """Base of all drivers.

    The methods here do nothing, which is right for a resource that needs nothing.

    Every method is a coroutine that must not block the event loop, may be cancelled at any await,
    and must then leave nothing running. The caller enforces the time limits by cancelling. A method
    that cannot do what it was asked raises `DriverError` with words for the person who waits;
    anything else that it raises is shown with its type.

    Every method may be called again for the same hold, after a crash even while what it began is
    still there: it must then go on or begin anew, never make a second one. Name what is made after
    `hold.id`.
    """

    #: What stands under `options` of a resource with this driver.
    Options: ClassVar[type[BaseModel]] = NoOptions
    #: The kind of a resource that does not say; `None` makes `kind` needed.
    default_kind: ClassVar[Kind | None] = None
    #: How long calls may take, unless the file says otherwise.
    default_time_limits: ClassVar[TimeLimits] = TimeLimits(
        ready_up_s=600.0, tear_down_s=120.0, clean_s=600.0, check_s=30.0
    )

    def __init__(self, resource: Resource) -> None:
        self.resource = resource

    @classmethod
    def verify(cls, resource: Resource) -> Iterable[tuple[Path, str]]:
        """Yield what is wrong with a resource beyond its options.

        A path within its entry, and what.
        """
        return ()

    def time_limits(self) -> TimeLimits:
        """Return how long each call may take; `None` leaves it to `default_time_limits`."""
        return self.resource.time_limits

    @property
    def makes(self) -> Makes | None:
        """What the resource can be made into for each hold; `None` if it is as it is."""
        return None

    @property
    def has_power(self) -> bool:
        """Whether `power` works, as far as can be told without trying."""
        return False

    @property
    def has_console(self) -> bool:
        """Whether `console` works, as far as can be told without trying."""
        return False

    @property
    def has_repair(self) -> bool:
        """Whether there is anything that `repair` could try."""
        return type(self).repair is not Driver.repair

    async def describe(self) -> Facts:
        """Return what can be found out about the resource; resources.yml overrides it."""
        return Facts()

    async def check(self) -> None:  # noqa: B027  # nothing to do is a right answer
        """Return if the resource can be lent.

        Raises:
            DriverError: It cannot, and why.
        """

    @abc.abstractmethod
    async def prepare(self, hold: Hold, report: Report) -> Connection:
        """Ready the resource up for a hold; of a dynamic one, make what `hold.share` says.

        Raises:
            DriverError: It cannot be readied up. Tear-down and cleaning follow.
        """

    async def tear_down(self, hold: Hold, report: Report) -> None:  # noqa: B027  # as above
        """End what `prepare` began, however far it came, also if it never ran.

        Raises:
            DriverError: It did not work; it is tried again.
        """

    async def clean(self, hold: Hold, report: Report) -> None:  # noqa: B027  # as above
        """Bring the resource into the state in which the next hold may find it.

        Raises:
            DriverError: It did not work; tear-down and cleaning are tried again.
        """

    async def repair(self, trouble: str, report: Report) -> None:
        """Try to bring a resource that is not well back, as by a power cycle; nothing holds it.

        Raises:
            DriverError: It did not work, or there is nothing to be tried.
        """
        raise DriverError(f"driver {self.resource.driver} knows no repair")

    async def power(self, action: Power, hold: Hold | None, report: Report) -> None:
        """Switch the power of the resource, or of what was made for a hold.

        Raises:
            DriverError: It did not work.
        """
        raise DriverError(f"driver {self.resource.driver} has no power control")

    async def console(self, hold: Hold) -> Channel:
        """Open the serial console of what a hold has.

        Raises:
            DriverError: It did not work.
        """
        raise DriverError(f"driver {self.resource.driver} has no console")

    async def dial(self, hold: Hold, connection: Connection, port: int) -> Channel:
        """Open a TCP connection to a port of what a hold has, as seen from there.

        Unless a driver knows better, that is a port of the address in its connection. This machine
        is dialled only if it is what was lent (protocol `local`): what listens here is not for
        whoever holds something else.

        Raises:
            DriverError: Nothing answers there, or there is no address.
        """
        address = connection.address
        if not address and connection.protocol != "local":
            raise DriverError("what was handed over has no address, so it has no ports")
        address = address or "localhost"
        try:
            return await asyncio.open_connection(address, port)
        except OSError as error:
            message = f"{address}:{port} does not answer: {system_words(error)}"
            raise DriverError(message) from error
