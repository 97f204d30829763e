"""What the header of a Lua script promises, read from its comments."""

import functools
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any

_PARAMETER = re.compile(r"^-- (KEYS|ARGV)\[(\d+)(\.\.\.)?\]", re.MULTILINE)
_REPLY = re.compile(r'\{"([A-Z_]+)"')


def source(path: str) -> str:
    """Return the text of a file below ``lua/``, without what it includes."""
    return (resources.files("hwprovisioner.state") / "lua" / path).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Parameters:
    """How many keys or arguments a script takes."""

    numbers: tuple[int, ...]
    """As the header numbers them; those that may be repeated are not among them."""
    rest_from: int | None
    """Where those begin that may be repeated."""

    def fit(self, count: int) -> bool:
        fixed = len(self.numbers)
        return count == fixed if self.rest_from is None else count >= fixed


@dataclass(frozen=True)
class Header:
    """A script's signature."""

    text: str
    keys: Parameters
    args: Parameters
    replies: frozenset[str]
    """The words that replies begin with."""

    def check(self, name: str, keys: int, args: int, reply: Any) -> None:
        """Fail if a call of the script was not as its header says."""
        assert self.keys.fit(keys), f"{name}.lua was called with {keys} keys"
        assert self.args.fit(args), f"{name}.lua was called with {args} arguments"
        assert reply[0] in self.replies, f"{name}.lua answered {reply!r}"


@functools.cache
def header_of(name: str) -> Header:
    """Return the header of ``lua/NAME.lua``."""
    lines = source(f"{name}.lua").splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith("-- ") and line != "--")
    text = "\n".join(lines[:end])
    _, _, returns = text.partition("-- Returns")
    return Header(
        text,
        _parameters(text, "KEYS"),
        _parameters(text, "ARGV"),
        frozenset(_REPLY.findall(returns)),
    )


def _parameters(text: str, kind: str) -> Parameters:
    found = [(int(number), rest) for word, number, rest in _PARAMETER.findall(text) if word == kind]
    rest_from = next((number for number, rest in found if rest), None)
    return Parameters(tuple(number for number, rest in found if not rest), rest_from)
