"""From what people write to text and numbers of the contract; what cannot even be sent is refused.

Every function raises `BadDemand`, whose message says what is wrong and what would be right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hwprovisioner.client.errors import BadDemand
from hwprovisioner.client.guessing import did_you_mean


def number(value: object) -> str:
    """Reads a number or an amount: an int, or text such as `>=8`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return value.strip()
    raise BadDemand(f"{value!r} is no number; write an int or text such as '>=8' or '16GiB'")


def count(value: object, what: str, least: int = 1) -> int:
    """Reads how many of something, up to 64.

    Args:
        value: As it was written.
        what: Of what, for the message.
        least: How few may be said.
    """
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= 64:
        return value
    raise BadDemand(f"{value!r} is no count of {what}; write 1 to 64")


def text(value: object) -> str:
    """Reads text; a number is its digits."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise BadDemand(f"{value!r} is no text")


def texts(value: object) -> list[str]:
    """Reads a text or a list of them."""
    return [value] if isinstance(value, str) else [text(part) for part in listed(value)]


def listed(value: object) -> list[object]:
    """Reads a list of whatever there is."""
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return list(value)
    raise BadDemand(f"{value!r} is neither text nor a list")


def keyed(value: object, known: tuple[str, ...], what: str, wanted: str) -> Mapping[str, object]:
    """Reads a mapping of known keys.

    Args:
        value: As it was written.
        known: The keys that it may have.
        what: What such a key is called.
        wanted: What should have been written if it is no mapping.
    """
    if not isinstance(value, Mapping):
        raise BadDemand(f"{value!r} is not {wanted}")
    for key in value:
        if key not in known:
            raise BadDemand(unknown_key(str(key), known, what))
    return value


def unknown_key(key: str, known: Iterable[str], what: str) -> str:
    """Says that a key is not known, what may have been meant, and what the known ones are."""
    known = list(known)
    return f"unknown {what} {key!r}{did_you_mean(key, known)} (known: {', '.join(known)})"
