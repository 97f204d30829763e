"""The Lua scripts that commit transitions: one file each in ``lua/``, put together and hashed once.

``--@include NAME`` is replaced by ``lua/include/NAME.lua``, once for each script and after what
that file itself includes; ``--@include tables`` by the tables of `tables.py`.
"""

import functools
import hashlib
import re
from dataclasses import dataclass, field
from importlib import resources

from hwprovisioner.state.tables import as_lua

_INCLUDE = re.compile(r"^--@include (\w+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """A script as it is sent to Redis."""

    name: str
    text: str = field(repr=False)
    sha: str
    """What EVALSHA knows it by: SHA-1 of the text, as hexadecimal digits."""


@functools.cache
def script(name: str) -> Script:
    """Return the script ``lua/NAME.lua`` with everything it includes.

    Raises:
        FileNotFoundError: there is no such script.
    """
    text = _expanded(_read(f"{name}.lua"), set())
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def names() -> list[str]:
    """Return the names of all scripts, sorted."""
    folder = resources.files(__package__) / "lua"
    return sorted(
        entry.name.removesuffix(".lua") for entry in folder.iterdir() if entry.name.endswith(".lua")
    )


def _read(path: str) -> str:
    return (resources.files(__package__) / "lua" / path).read_text(encoding="utf-8")


def _expanded(text: str, seen: set[str]) -> str:
    def include(match: re.Match[str]) -> str:
        name = match[1]
        if name in seen:
            return ""
        seen.add(name)
        if name == "tables":
            return as_lua() + "\n"
        return _expanded(_read(f"include/{name}.lua"), seen)

    return _INCLUDE.sub(include, text)
