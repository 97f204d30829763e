"""Reads one mapping of a YAML file by the keys it may have, and notes all that is wrong with it.

Where a value is wrong the default stands in, so that reading goes on and all problems are found at
once. What is left out is the default as well.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from hwprovisioner.serving.located import Data, Located
from hwprovisioner.serving.problems import Path, quote, suggest
from hwprovisioner.serving.settings import parse_duration_ms

UNLIMITED = "unlimited"

_WHOLE = re.compile(r"[+-]?[0-9]{1,12}")
_NUMBER = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")
_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

T = TypeVar("T")


class Section:
    """A mapping of the file; iterates over its keys."""

    def __init__(self, located: Located, path: Path, data: Data, known: tuple[str, ...]) -> None:
        """Take the data at a path; `known` are the keys it may have, none for whatever keys."""
        self._located = located
        self._path = path
        self._data: Mapping[str, Data] = {}
        if isinstance(data, dict):
            self._data = data
        elif data is not None:
            self._fault(path, f"should be a mapping, is {quote(data)}")
        for key in self._data:
            if known and key not in known:
                self.fault(key, f"unknown key{suggest(key, known)}", at_key=True)

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def fault(self, key: str, message: str, *, at_key: bool = False) -> None:
        """Note that something is wrong with the value of a key, or the key itself."""
        self._fault((*self._path, key), message, at_key=at_key)

    def line(self, key: str) -> int:
        """Return the line that a key stands in."""
        return self._located.key_position((*self._path, key)).line

    def section(self, key: str, *known: str, if_empty: str = "") -> "Section":
        """Return the mapping of a key.

        Args:
            key: which one; one without keys if it is left out.
            known: the keys it may have, none for whatever keys.
            if_empty: what to do about a key without a value. Empty: nothing, it is left out.
        """
        data = self._data.get(key)
        if key in self._data and data is None and if_empty:
            self.fault(key, f"is empty: {if_empty}", at_key=True)
        return Section(self._located, (*self._path, key), data, known)

    def duration_ms(self, key: str, default_ms: int, low: str, high: str) -> int:
        """Read a span of time from `low` to `high`, in ms."""
        lowest, highest = parse_duration_ms(low), parse_duration_ms(high)

        def parse(text: str) -> int | None:
            try:
                found = parse_duration_ms(text)
            except ValueError:
                return None
            return found if lowest <= found <= highest else None

        form = f"a span of time from {low} to {high}, such as 90s, 10m, 4h or 7d"
        return self._read(key, default_ms, form, parse)

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """Read a whole number from `low` to `high`."""
        form = f"a whole number from {low} to {high}"
        return self._read(key, default, form, lambda text: _whole(text, low, high))

    def limit(self, key: str, default: int | None, high: int) -> int | None:
        """Read a whole number from 0 to `high`; None is said as `unlimited` or null."""
        if key in self._data and (self._data[key] is None or self.is_unlimited(key)):
            return None
        form = f"a whole number from 0 to {high:,}, or {UNLIMITED}"
        return self._read(key, default, form, lambda text: _whole(text, 0, high))

    def is_unlimited(self, key: str) -> bool:
        """Say whether the value of a key is the word for that."""
        return self._data.get(key) == UNLIMITED

    def weight(self, key: str, default: float, high: int) -> float:
        """Read a number over 0, up to `high`."""

        def parse(text: str) -> float | None:
            number = float(text) if _NUMBER.fullmatch(text) else 0.0
            return number if 0 < number <= high else None

        return self._read(key, default, f"a number over 0, up to {high}", parse)

    def flag(self, key: str, *, default: bool) -> bool:
        """Read yes or no."""
        return self._read(key, default, "true or false", lambda text: _FLAGS.get(text.casefold()))

    def words(self, key: str) -> list[str]:
        """Read a list of words, one or more, each once."""
        data = self._data.get(key)
        if not isinstance(data, list) or not data:
            has = f"is {'an empty list' if data == [] else quote(data)}"
            has = has if key in self._data else "is missing"
            self.fault(key, f"{has}, should be a list of names, such as [alice, bob]")
            return []
        found: list[str] = []
        for at, word in enumerate(data):
            if not isinstance(word, str):
                self._fault((*self._path, key, at), f"should be a name, is {quote(word)}")
            elif word in found:
                self._fault((*self._path, key, at), f"{quote(word)} is in the list twice")
            else:
                found.append(word)
        return found

    def _read(self, key: str, default: T, form: str, parse: Callable[[str], T | None]) -> T:
        """Read a word; `parse` returns None for what does not have the form."""
        if key not in self._data:
            return default
        data = self._data[key]
        found = parse(data) if isinstance(data, str) else None
        if found is None:
            hint = "; leave the key out for the default" if data is None else ""
            self.fault(key, f"should be {form}, is {quote(data)}{hint}")
            return default
        return found

    def _fault(self, path: Path, message: str, *, at_key: bool = False) -> None:
        self._located.problems.append(self._located.problem(path, message, at_key=at_key))


def _whole(text: str, low: int, high: int) -> int | None:
    return int(text) if _WHOLE.fullmatch(text) and low <= int(text) <= high else None
