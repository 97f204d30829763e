"""News of a request while it waits, as `on_update` callbacks are told them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hwprovisioner.client.durations import show
from hwprovisioner.client.printable import printable


class Phase(StrEnum):
    """Where a request is on its way to ready hosts."""

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
    repeated: bool = False
    """No news: the newest update once more, a second later, so that a display can count."""

    @property
    def line(self) -> str:
        """The update as one line, without the time waited."""
        because = f": {printable(self.message)}" if self.message else ""
        match self.phase:
            case Phase.QUEUED:
                return f"queued at place {self.place}{because}"
            case Phase.PREPARING:
                return f"preparing{f' {self.host}' if self.host else ''}{because}"
            case Phase.READY:
                return f"ready after {show(self.waited_s)}"
            case Phase.AWAY:
                return f"the lab is away, trying again{because}"
