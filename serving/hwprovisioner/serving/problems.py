"""What is wrong in a file, said so that it can be found and mended."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from hwprovisioner.serving.secret_names import masked

#: A place in the file's data, from the outermost key inwards.
Path = tuple[str | int, ...]

#: Source lines longer than this are not shown: nobody finds a caret in them.
_LONGEST_SHOWN = 160
#: Input is quoted up to this many characters.
_LONGEST_QUOTED = 60


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong."""

    #: From 1; 0 is the whole file.
    line: int
    #: From 1.
    column: int
    path: str
    message: str

    def render(self, file: str, source: str = "") -> str:
        """Return `file:line:col: path: message`, and below it the line with a caret.

        What is called a secret there is not shown.
        """
        where = f"{file}:{self.line}:{self.column}" if self.line else file
        head = ": ".join(part for part in (where, self.path, self.message) if part)
        lines = source.splitlines()
        if not 0 < self.line <= len(lines) or len(lines[self.line - 1]) > _LONGEST_SHOWN:
            return head
        shown = masked(lines[self.line - 1].replace("\t", " "))
        return f"{head}\n    {shown}\n    {' ' * (self.column - 1)}^"


class FaultyFile(Exception):
    """A file that cannot be used; the message has every problem, a line or more each."""

    def __init__(self, file: str, problems: Iterable[Problem], source: str = "") -> None:
        self.file = file
        self.problems = tuple(sorted(problems))
        self.faults = tuple(problem.render(file, source) for problem in self.problems)
        super().__init__("\n".join(self.faults))


def show_path(path: Path) -> str:
    """Return a path as people write it, such as `resources.static.refb.gpus[0].memory`."""
    shown = ""
    for part in path:
        shown += f"[{part}]" if isinstance(part, int) else f".{part}" if shown else part
    return shown


def suggest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'memory'?`, else `; known are …`, to be put after a message."""
    words = sorted(known)
    near = difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known are {', '.join(words)}" if words else ""


def quote(value: object) -> str:
    """Return a value of the file, short enough for one line."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "empty"
    text = repr(value)
    return text if len(text) <= _LONGEST_QUOTED else f"{text[:_LONGEST_QUOTED]}…"
