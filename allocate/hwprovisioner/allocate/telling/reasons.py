"""Reasons for people to read: counted where many have the same, and times in words. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime

SHOWN = 3
"""So many reasons are told; of more it is said that there are more."""
_SECOND_MS = 1000
_MINUTE_MS = 60_000
_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000


def counted(reasons: Mapping[str, int]) -> str:
    """Return reasons with how often each was given, the most frequent first."""
    ordered = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
    shown = ", ".join(_times(count, reason) for reason, count in ordered[:SHOWN])
    return shown + (", and other reasons" if len(ordered) > SHOWN else "")


def about(span_ms: int) -> str:
    """Return a span in words, so coarse that it does not change all the time."""
    if span_ms < 45 * _SECOND_MS:
        return "less than a minute"
    if span_ms < 90 * _MINUTE_MS:
        minutes = max(1, round(span_ms / _MINUTE_MS))
        return f"about {minutes if minutes <= 10 else round(minutes / 5) * 5} min"
    if span_ms < 36 * _HOUR_MS:
        return f"about {round(span_ms / _HOUR_MS)} h"
    return f"about {round(span_ms / _DAY_MS)} days"


def at(instant_ms: int, now_ms: int) -> str:
    """Return an instant as people say it: the time of day, with the day unless it is today."""
    instant = datetime.fromtimestamp(instant_ms / 1000, UTC)
    is_today = instant.date() == datetime.fromtimestamp(now_ms / 1000, UTC).date()
    return instant.strftime("%H:%M UTC" if is_today else "%Y-%m-%d %H:%M UTC")


def listed(parts: list[str]) -> str:
    """Return some of what there is to tell."""
    more = len(parts) - SHOWN
    return "; ".join(parts[:SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _times(count: int, reason: str) -> str:
    # "3 in use" reads well, "3 cpus: has 2" does not.
    if ":" not in reason:
        return f"{count} {reason}"
    return reason if count == 1 else f"{reason} ({count})"
