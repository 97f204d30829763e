"""Words of others on this terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Gives a text, such as a reason, as one line that does not drive the terminal."""
    return "".join(each if each.isprintable() else " " for each in text).rstrip()
