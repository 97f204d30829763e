"""Amounts of memory and spans of time, as people write them."""

from __future__ import annotations

import re
from fractions import Fraction

#: The largest amount that the lab takes: 8 PiB, beyond which numbers are not whole in Redis' Lua.
MOST_BYTES = 2**53
#: No time limit or interval is longer: a day.
MOST_SECONDS = 86_400.0

_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SIZE = re.compile(r"(\d{1,19}(?:\.\d{1,9})?)\s*([kmgt]?)(i?)(b?)", re.IGNORECASE | re.ASCII)
_SPAN = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m|h|)", re.IGNORECASE | re.ASCII)
_MILLISECONDS = {"ms": 1, "": 1000, "s": 1000, "m": 60_000, "h": 3_600_000}


def parse_size(text: str) -> int:
    """Return the bytes in `8GiB`, `512Mi`, `8G`, `1.5T` or `4096`.

    K, M, G and T are powers of 1000, Ki, Mi, Gi and Ti of 1024, as in demands; upper and lower case
    are the same, and a closing B says nothing more. Parts of a byte are cut.

    Raises:
        ValueError: It is not an amount, or more than 8 PiB.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3] and not match[2]):
        raise ValueError(f"{text!r} is no amount of memory, such as 8GiB, 512Mi or 4096")
    base = 1024 if match[3] else 1000
    unit: int = base ** _POWERS[match[2].lower()]
    size = int(Fraction(match[1]) * unit)
    if size > MOST_BYTES:
        raise ValueError(f"{text!r} is more than 8 PiB")
    return size


def parse_span(text: str) -> float:
    """Return the seconds in `90s`, `10m`, `1.5h`, `500ms` or `30`.

    Raises:
        ValueError: It is not a span, or none between 1 ms and a day.
    """
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no span of time, such as 90s, 10m or 1h")
    span_s = float(Fraction(match[1]) * _MILLISECONDS[match[2].lower()] / 1000)
    if not 0.001 <= span_s <= MOST_SECONDS:
        raise ValueError(f"{text!r} is not between 1ms and 24h")
    return span_s
