"""Moments as people write and read them: `14:00`, `+2h`, `2026-05-01T14:00`.

Without a zone a moment is by the clock on the wall: in the time zone of this machine.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hwprovisioner.client.durations import to_timedelta
from hwprovisioner.client.errors import BadDemand

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

Moment = datetime | str
"""A moment: a datetime, or text such as `14:00`, `+2h` or `2026-05-01T14:00`."""

_WALL = re.compile(r"(\d{1,2}):(\d{2})")


def to_datetime(moment: Moment, name: str, base: datetime) -> datetime:
    """Reads a moment, to a datetime with a zone.

    Args:
        moment: A datetime, or text: ISO 8601 with date and time, `HH:MM` (the next such time after
            the base), or `+` and a span of time (so long after the base).
        name: What it is, for the message.
        base: What `HH:MM` and `+` count from.

    Raises:
        BadDemand: It cannot be read.
    """
    try:
        found = moment if isinstance(moment, datetime) else _read(moment.strip(), name, base)
        return found.astimezone()
    except (ValueError, OverflowError, AttributeError):
        raise BadDemand(
            f"{name}: {moment!r} is no moment; write a time such as 14:00, a date and time such as"
            " 2026-05-01T14:00, or a span from now such as +2h",
            reason="BAD_MOMENT",
            metadata={"field": name, "value": str(moment)},
        ) from None


def show(moment: datetime, now: datetime) -> str:
    """Writes a moment for people, in the zone of `now`: `14:05`, with the date on another day."""
    here = moment.astimezone(now.tzinfo)
    return here.strftime("%H:%M" if here.date() == now.date() else "%Y-%m-%d %H:%M")


def local_now() -> datetime:
    """Gives this machine's time in its zone."""
    return datetime.now().astimezone()


def from_timestamp(timestamp: Timestamp) -> datetime | None:
    """Gives a moment of the contract in UTC; None if it is unset."""
    return timestamp.ToDatetime(UTC) if timestamp.seconds else None


def _read(text: str, name: str, base: datetime) -> datetime:
    if text.startswith("+"):
        return base + to_timedelta(text[1:], name)
    if wall := _WALL.fullmatch(text):
        return _next(int(wall[1]), int(wall[2]), base)
    if ":" not in text:
        raise ValueError("a date alone is no moment")
    return datetime.fromisoformat(text)


def _next(hour: int, minute: int, base: datetime) -> datetime:
    """Finds the next time after the base at which the clock on the wall says so."""
    day = base.astimezone().replace(tzinfo=None)
    for _ in range(2):
        found = day.replace(hour=hour, minute=minute, second=0, microsecond=0).astimezone()
        if found > base:
            return found
        day += timedelta(days=1)
    return found
