"""What an update of the lab says to whoever waits: the contract's message, read into news."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hwprovisioner.client.moments import from_timestamp
from hwprovisioner.client.updates import Phase, Update
from hwprovisioner.v1.allocate_service_pb2 import AllocationUpdate


@dataclass(frozen=True, slots=True)
class News:
    """What there is to tell; see `Update` for each field."""

    phase: Phase
    place: int = 0
    host: str = ""
    message: str = ""
    expected: datetime | None = None
    likely: datetime | None = None


def news_of(update: AllocationUpdate) -> News | None:
    """Reads an update; None if it says nothing about the wait."""
    match update.WhichOneof("event"):
        case "booked":
            start = from_timestamp(update.allocation.book_start_time)
            return News(Phase.BOOKED, expected=start)
        case "queued":
            place = update.queued
            return News(
                Phase.QUEUED,
                place=place.place,
                message=place.reason,
                expected=from_timestamp(place.expected_time),
                likely=from_timestamp(place.likely_time),
            )
        case "preparing":
            line = update.preparing
            return News(Phase.PREPARING, host=line.host, message=line.message)
    return None


def end_detail(detail: str, last: Update, trouble: str) -> str:
    """Completes what the lab says of an end.

    Args:
        detail: What it says.
        last: What it had told last: if that was a wait, it is told what for.
        trouble: Why the newest heartbeat failed; empty if it did not.
    """
    if last.phase is Phase.QUEUED and last.message:
        detail = f"{detail}; last {last.line}" if detail else last.line
    return f"{detail}; heartbeats failed: {trouble}" if trouble else detail
