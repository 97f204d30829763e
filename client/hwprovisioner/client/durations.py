"""Spans of time as people write them: seconds, `timedelta`, `90s`, `10m`, `1h30m`."""

from __future__ import annotations

import re
from datetime import timedelta

from hwprovisioner.client.errors import BadDemand

Span = timedelta | float | str
"""A span of time: seconds, a timedelta, or text such as `10m`."""

# A century: what is longer is a mistake, and would not fit into a timedelta for ever.
_LONGEST_S = 100 * 366 * 86_400
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def to_timedelta(span: Span, name: str) -> timedelta:
    """Reads a span of time; a bare number is seconds.

    Raises:
        BadDemand: It is not a span of time, or not above zero.
    """
    seconds = span.total_seconds() if isinstance(span, timedelta) else _seconds(span)
    if seconds is None or not 0 < seconds <= _LONGEST_S:
        raise BadDemand(
            f"{name}: {span!r} is no span of time above zero; write seconds, or text such as 90s,"
            " 10m or 1h30m",
            reason="BAD_DURATION",
            metadata={"field": name, "value": str(span)},
        )
    return timedelta(seconds=seconds)


def show(seconds: float) -> str:
    """Writes a span of time for people: `0.4 s`, `42 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _seconds(span: float | str) -> float | None:
    if not isinstance(span, str):
        return float(span)
    text = span.strip().lower().replace(" ", "")
    try:
        return float(text)
    except ValueError:
        pass
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNIT_S[unit] for number, unit in parts)
