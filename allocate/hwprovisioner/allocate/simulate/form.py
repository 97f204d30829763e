"""Reads the parts of a scenario file that a policy file does not have."""

import re
from collections.abc import Callable
from typing import TypeVar

from hwprovisioner.allocate.notation import NotationError, parse_memory
from hwprovisioner.allocate.policy_section import Section
from hwprovisioner.serving.located import Data
from hwprovisioner.serving.problems import Path, quote
from hwprovisioner.serving.settings import parse_duration_ms

DAY_MS = 86_400_000
LONGEST_MS = 30 * DAY_MS

_CLOCK = re.compile(r"([0-9]{1,3}):([0-5][0-9])(?::([0-5][0-9]))?")
_RATE = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?) ?/ ?(s|m|h|d)")
_PER_HOUR = {"s": 3600.0, "m": 60.0, "h": 1.0, "d": 1 / 24}

T = TypeVar("T")


class Form(Section):
    """A mapping of a scenario file."""

    @property
    def path(self) -> Path:
        """Where it stands."""
        return self._path

    def part(self, key: str) -> Data:
        """Return the value of a key as it is, None if there is none."""
        return self._data.get(key)

    def section(self, key: str, *known: str, if_empty: str = "") -> "Form":
        """Return the mapping of a key, as `Section.section` does."""
        below = super().section(key, *known, if_empty=if_empty)
        return Form(self._located, below._path, dict(below._data), ())

    def fault_at(self, path: Path, message: str) -> None:
        """Note that something is wrong at a path below this mapping."""
        self._fault((*self._path, *path), message)

    def text(self, key: str, default: str) -> str:
        """Read a word."""
        return self._read(key, default, "a word", lambda text: text or None)

    def needs(self, key: str, example: str) -> bool:
        """Say whether a key is there, and note it if not."""
        if key not in self:
            self._fault(self._path, f"has no {key}: write it, as in `{key}: {example}`")
        return key in self

    def memory(self, key: str) -> int:
        """Read an amount of memory, in bytes, 0 if it is left out."""
        return self._read(key, 0, "an amount of memory, such as 16GiB", memory_of)

    def moment(self, key: str, default_ms: int, latest_ms: int) -> int:
        """Read a moment of the day, in ms from its beginning."""
        return self._read(key, default_ms, _moment_form(latest_ms), _moment(latest_ms))

    def moments(self, key: str, latest_ms: int) -> tuple[int, ...]:
        """Read one or more moments of the day."""
        data = self._data.get(key)
        parse, found = _moment(latest_ms), []
        each = list(enumerate(data)) if isinstance(data, list) else [(None, data)]
        for place, text in each:
            moment = parse(text) if isinstance(text, str) else None
            if moment is None:
                path = (key,) if place is None else (key, place)
                self.fault_at(path, f"should be {_moment_form(latest_ms)}, is {quote(text)}")
            else:
                found.append(moment)
        return tuple(sorted(found))

    def per_hour(self, key: str) -> float:
        """Read a rate."""
        form = "a rate over 0, such as 12/h, 0.5/m or 100/d"
        return self._read(key, 0.0, form, _rate)

    def span_ms(self, key: str, default_ms: int) -> int:
        """Read a span of time over 0, in ms."""
        return self.duration_ms(key, default_ms, "1ms", "30d")


def span_of(text: Data) -> int | None:
    """Return a span in ms, None if it is none from 1 ms to 30 days."""
    try:
        found = parse_duration_ms(text) if isinstance(text, str) else 0
    except ValueError:
        return None
    return found if 0 < found <= LONGEST_MS else None


def _moment(latest_ms: int) -> Callable[[str], int | None]:
    def parse(text: str) -> int | None:
        found = _clock(text)
        return found if found is not None and 0 <= found <= latest_ms else None

    return parse


def _clock(text: str) -> int | None:
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return ((hours * 60 + minutes) * 60 + seconds) * 1000
    try:
        return parse_duration_ms(text)
    except ValueError:
        return None


def _moment_form(latest_ms: int) -> str:
    minutes = latest_ms // 60_000
    last = f"{minutes // 60:02}:{minutes % 60:02}"
    return f"a moment from 00:00 to {last} when the day ends, such as 09:30 or 90m"


def _rate(text: str) -> float | None:
    match = _RATE.fullmatch(text)
    return float(match[1]) * _PER_HOUR[match[2]] or None if match else None


def memory_of(text: str) -> int | None:
    """Return an amount of memory in bytes, None if it is none."""
    try:
        bounds = parse_memory(text)
    except NotationError:
        return None
    return bounds.low if bounds.high is None else None
