"""What a driver is.

A driver readies one resource up, takes it down again and cleans it. It is found by its name in the
entry point group `hwprovisioner.drivers`; one object serves one resource, for as long as its entry
in resources.yml stays the same.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable
from typing import ClassVar

from pydantic import BaseModel

from hwprovisioner.resourcemanager.model import (
    Connection,
    Facts,
    Hold,
    Kind,
    NoOptions,
    Resource,
    TimeLimits,
)
from hwprovisioner.serving.problems import Path

#: Takes one line about how things go, for whoever waits. Never blocks, never fails.
Report = Callable[[str], None]


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
