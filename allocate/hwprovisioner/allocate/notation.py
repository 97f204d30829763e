"""How demands are written: bounds on numbers, amounts of memory and versions.

``8`` and ``>=8`` mean at least 8, ``==8`` exactly 8, ``<=8`` at most 8, ``4..8`` from 4 to 8. The
contract (demand.proto) says the same to users; everything here is pure.
"""

import functools
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

MAX_NUMBER = 2**53
"""Larger numbers are not whole in Redis' Lua."""
MAX_VERSION_LENGTH = 64

_BOUNDS = re.compile(r"(?P<op>>=|==|<=)?(?P<one>[^.]\S*?)(?:\.\.(?P<two>\S+))?")
_AMOUNT = re.compile(r"([0-9]{1,16}(?:\.[0-9]{1,6})?)([KMGT]?)(i?)B?", re.IGNORECASE)
_VERSION = re.compile(r"[0-9A-Za-z]+([._+~-][0-9A-Za-z]+)*")
_SHORT = 10_000
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}

T = TypeVar("T")


class NotationError(ValueError):
    """A bound is not written as bounds are; the message says how they are."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a number must be."""

    low: int | None = None
    high: int | None = None

    def admit(self, number: int) -> bool:
        """Say whether a number is within the bounds."""
        return (self.low is None or number >= self.low) and (
            self.high is None or number <= self.high
        )

    def said(self, form: Callable[[int], str] = str) -> str:
        """Return the bounds in words, their numbers written by `form`."""
        low, high = (None if n is None else form(n) for n in (self.low, self.high))
        return _said(low, high)

    def __str__(self) -> str:
        return self.said()


@dataclass(frozen=True, slots=True)
class VersionBounds:
    """What a version must be. A bound covers its point releases: 22.04.3 is within ``==22.04``."""

    low: str | None = None
    high: str | None = None

    def admit(self, version: str) -> bool:
        """Say whether a version is within the bounds."""
        if not version:
            return self.low is None and self.high is None
        parts = _version_parts(version)
        if self.low is not None and parts < _version_parts(self.low):
            return False
        if self.high is not None:
            high = _version_parts(self.high)
            return parts[: len(high)] <= high
        return True

    def __str__(self) -> str:
        return _said(self.low, self.high)


def parse_number(text: str) -> Bounds:
    """Read bounds on a whole number.

    Raises:
        NotationError: it is not written so.
    """
    return _number_bounds(text, _whole, "a number such as 8, >=8, ==8, <=8 or 4..8")


def parse_memory(text: str) -> Bounds:
    """Read bounds on an amount of memory, in bytes.

    Raises:
        NotationError: it is not written so.
    """
    return _number_bounds(text, _amount, "an amount of memory such as 8GiB, ==8G or 4Gi..8Gi")


def parse_version(text: str) -> VersionBounds:
    """Read bounds on a version.

    Raises:
        NotationError: it is not written so.
    """
    bounds = VersionBounds(*_parse(text, _version, "a version such as 22.04, ==22.04 or 20..22"))
    if bounds.low and bounds.high and not VersionBounds(high=bounds.high).admit(bounds.low):
        raise NotationError(f"{text!r} admits nothing: {bounds.low} is above {bounds.high}")
    return bounds


def _number_bounds(text: str, value: Callable[[str], int | None], form: str) -> Bounds:
    low, high = _parse(text, value, form)
    if low is not None and high is not None and low > high:
        raise NotationError(f"{text!r} admits nothing: {low} is above {high}")
    return Bounds(low, high)


@functools.lru_cache(maxsize=10_000)
def amount(number: int) -> str:
    """Return an amount of memory for people to read: exact if that is short, else rounded down."""
    units = [(unit, power) for unit, power in reversed(_POWERS.items()) if unit]
    for base, letters in ((1024, "iB"), (1000, "B")):
        for unit, power in units:
            whole, rest = divmod(number, base**power)
            if rest == 0 and 0 < whole < _SHORT:
                return f"{whole} {unit}{letters}"
    for unit, power in units:
        if number >= 1024**power:
            return f"{number * 100 // 1024**power / 100:g} {unit}iB"
    return f"{number} B"


def _parse(text: str, value: Callable[[str], T | None], form: str) -> tuple[T | None, T | None]:
    """Return the lower and the upper bound."""
    match = _BOUNDS.fullmatch(text.replace(" ", ""))
    if match is None:
        raise NotationError(f"{text!r} is not {form}")
    one = value(match["one"])
    two = value(match["two"]) if match["two"] else None
    if one is None or (match["two"] and (two is None or match["op"])):
        raise NotationError(f"{text!r} is not {form}")
    match match["op"], two:
        case (None, None) | (">=", _):
            return one, None
        case "==", _:
            return one, one
        case "<=", _:
            return None, one
    return one, two


def _whole(text: str) -> int | None:
    if not re.fullmatch(r"[0-9]{1,16}", text):
        return None
    number = int(text)
    return number if number <= MAX_NUMBER else None


def _amount(text: str) -> int | None:
    match = _AMOUNT.fullmatch(text)
    if match is None or (match[3] and not match[2]):
        return None
    unit: int = (1024 if match[3] else 1000) ** _POWERS[match[2].upper()]
    number = round(Decimal(match[1]) * unit)
    return number if number <= MAX_NUMBER else None


def _version(text: str) -> str | None:
    return text if _VERSION.fullmatch(text) and len(text) <= MAX_VERSION_LENGTH else None


def _version_parts(version: str) -> list[tuple[int, int, str]]:
    """Split a version so that lists compare as versions do: numbers by value, before words."""
    words = itertools.chain.from_iterable(
        re.findall(r"\d+|[A-Za-z]+", part) for part in re.split(r"[._+~-]", version)
    )
    return [(0, int(word), "") if word.isdecimal() else (1, 0, word.lower()) for word in words]


def _said(low: object, high: object) -> str:
    if low is None and high is None:
        return "any"
    if low == high:
        return f"exactly {low}"
    if high is None:
        return f"at least {low}"
    return f"at most {high}" if low is None else f"{low} to {high}"
