"""Collecting what is wrong with a message from outside: every wrong field is found and named."""

import re
from collections.abc import Callable, Sized
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from hwprovisioner.allocate.notation import NotationError
from hwprovisioner.serving import bad_request

MAX_WORD = 128
MAX_TEXT = 1024
_SHOWN = 40
_SECOND_NANOS = 1_000_000_000
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999, where timestamps end."""
_UNITS_MS = {"d": 86_400_000, "h": 3_600_000, "min": 60_000, "s": 1000}

NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,62}[A-Za-z0-9])?")

T = TypeVar("T")


class Violations:
    """What is wrong with a message, by field."""

    def __init__(self) -> None:
        """Begin with nothing wrong."""
        self._found: dict[str, str] = {}

    def add(self, field: str, description: str) -> None:
        """Note that a field is wrong: what, why and what would be right. The first word counts."""
        self._found.setdefault(field, description)

    def of(self, field: str) -> str:
        """Return what is wrong with a field itself, empty for nothing."""
        return self._found.get(field, "")

    def __bool__(self) -> bool:
        return bool(self._found)

    def check(self) -> None:
        """Refuse the message if anything is wrong with it."""
        if self._found:
            raise bad_request(list(self._found.items()))

    def text(self, field: str, value: str, limit: int = MAX_TEXT) -> str:
        """Check the length of a text, in characters."""
        if len(value) > limit:
            self.add(field, f"has {len(value):,} characters, at most {limit:,} are allowed")
            return value[:limit]
        return value

    def few(self, field: str, items: Sized, limit: int, what: str) -> bool:
        """Check that there are at most `limit`, and say whether it is so."""
        if len(items) > limit:
            self.add(field, f"has {len(items):,} {what}, at most {limit:,} are allowed")
        return len(items) <= limit

    def name(self, field: str, value: str, form: re.Pattern[str] = NAME) -> str:
        """Check a name."""
        if not form.fullmatch(value):
            self.add(field, f"{shown(value)} does not match {form.pattern}")
        return value

    def word(self, field: str, value: str) -> str:
        """Check the length of a word that is compared without regard to case."""
        return self.text(field, value, MAX_WORD).lower()

    def parsed(self, field: str, text: str, parse: Callable[[str], T], default: T) -> T:
        """Read what has a notation of its own; `default` stands for what is left out or wrong."""
        if not text:
            return default
        try:
            return parse(self.text(field, text, MAX_WORD))
        except NotationError as error:
            self.add(field, str(error))
            return default

    def number(self, field: str, value: int, low: int, high: int) -> int:
        """Check a number that is from `low` to `high`."""
        if not low <= value <= high:
            self.add(field, f"is {value}, must be from {low:,} to {high:,}")
        return value

    def duration_ms(self, field: str, value: Duration, low_ms: int, high_ms: int) -> int:
        """Check a duration, and return it in ms."""
        ms = self._ms(field, value)
        if not low_ms <= ms <= high_ms:
            low, high = span(low_ms), span(high_ms)
            self.add(field, f"is {ms / 1000:g} s, must be from {low} to {high}")
        return ms

    def instant_ms(self, field: str, value: Timestamp) -> int:
        """Check an instant, and return it in ms since the epoch."""
        if not 0 <= value.seconds <= _LAST_SECOND:
            self.add(field, f"is {value.seconds} s after 1970, must be from 1970 to 9999")
        return self._ms(field, value)

    def _ms(self, field: str, value: Duration | Timestamp) -> int:
        if not 0 <= value.nanos < _SECOND_NANOS:
            self.add(f"{field}.nanos", f"is {value.nanos:,}, must be from 0 to 999,999,999")
        return value.seconds * 1000 + value.nanos // 1_000_000


def shown(value: str) -> str:
    """Return a value as a message may quote it: not all of a 10 MB label."""
    return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")


def span(ms: int) -> str:
    """Return a span in the largest unit that it is a whole number of."""
    return next(
        (f"{ms // size} {unit}" for unit, size in _UNITS_MS.items() if not ms % size), f"{ms} ms"
    )
