"""News of a request while it waits, as `on_update` callbacks are told them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hwprovisioner.client import moments
from hwprovisioner.client.durations import show
from hwprovisioner.client.printable import printable


class Phase(StrEnum):
    """Where a request is on its way to ready hosts."""

    BOOKED = "booked"
    """It waits for the time it is booked for."""
    QUEUED = "queued"
    """It waits for its resources."""
    PREPARING = "preparing"
    """It has its resources, which are being readied up."""
    READY = "ready"
    """All hosts are ready."""
    AWAY = "away"
    """The lab does not answer; the request keeps its place and is taken up again."""


@dataclass(frozen=True, slots=True)
class Update:
    """One piece of news."""

    phase: Phase
    """What it is about."""
    allocation_id: str
    """Which allocation; empty before the lab has answered."""
    waited_s: float
    """Seconds since the request was made."""
    place: int = 0
    """When queued: how many are before it, plus one."""
    host: str = ""
    """When preparing: the host that the message is about; empty if it is about all."""
    message: str = ""
    """What it waits for, what the manager said, or why the lab is away; for people to read."""
    expected: datetime | None = None
    """When queued: when it is expected to be granted, as likely before as after; booked: when its
    time begins. By the lab's clock; None if it is not known."""
    likely: datetime | None = None
    """When queued: when it is expected to have been granted with a likelihood of 90 %."""
    repeated: bool = False
    """No news: the newest update once more, a second later, so that a display can count."""

    @property
    def line(self) -> str:
        """The update as one line, without the time waited. Moments are in this machine's zone."""
        because = f": {printable(self.message)}" if self.message else ""
        match self.phase:
            case Phase.BOOKED:
                return booked_line(self.expected)
            case Phase.QUEUED:
                return f"queued at {place_line(self.place, self.expected, self.likely)}{because}"
            case Phase.PREPARING:
                return f"preparing{f' {self.host}' if self.host else ''}{because}"
            case Phase.READY:
                return f"ready after {show(self.waited_s)}"
            case Phase.AWAY:
                return f"the lab is away, trying again{because}"


def place_line(place: int, expected: datetime | None, likely: datetime | None) -> str:
    """Says where a request stands: `place 3, expected 14:05 (90 % by 14:40)`."""
    if expected is None:
        return f"place {place}"
    now = moments.local_now()
    by = f" (90 % by {moments.show(likely, now)})" if likely else ""
    return f"place {place}, expected {moments.show(expected, now)}{by}"


def booked_line(start: datetime | None) -> str:
    """Says for when a booking is."""
    return f"booked from {moments.show(start, moments.local_now())}" if start else "booked"
