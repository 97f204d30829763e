"""When a wait is over although nobody ended it. Pure."""

from __future__ import annotations

from hwprovisioner.client.durations import show
from hwprovisioner.client.errors import LabError, LabUnavailable, WaitTimeout
from hwprovisioner.client.settings import Settings
from hwprovisioner.client.updates import Update

WAIT_GRACE_S = 5.0
"""How much later than the lab the SDK itself ends a wait: its own net, for a lab that forgot."""


def given_up(
    news: Update,
    *,
    wait_s: float,
    queued: bool,
    silent_s: float,
    proven: bool,
    trouble: LabUnavailable | None,
    settings: Settings,
) -> LabError | None:
    """Tells whether a request has waited for too long, and for what.

    Args:
        news: Where it stands, and how long it has waited.
        wait_s: How long it may wait in the queue; 0: as long as it takes.
        queued: Whether it was queued when the lab was heard last.
        silent_s: How long the lab has been away, or has not answered yet.
        proven: Whether heartbeats say that the allocation lives.
        trouble: Why the lab is away, if it is.
        settings: The limits.
    """
    if not news.allocation_id:
        if silent_s < settings.contact_limit_s:
            return None
        return trouble or LabUnavailable(
            f"nothing was heard from {settings.allocate_address} for {show(silent_s)}; is"
            " it a lab's Allocate service (ALLOCATE_API)?",
            reason="NO_ANSWER",
            metadata={"address": settings.allocate_address},
        )
    if wait_s and queued and news.waited_s >= wait_s + WAIT_GRACE_S:
        return WaitTimeout(
            f"waited {show(news.waited_s)} for hardware, longer than asked for; last {news.line}",
            reason="WAIT_TIMEOUT",
            metadata={"allocation_id": news.allocation_id},
        )
    if trouble and not proven and silent_s >= settings.silence_limit_s:
        return trouble
    return None
