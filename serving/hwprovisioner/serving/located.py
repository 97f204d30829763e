"""Reads YAML into plain data and keeps where each part of it stands.

Scalars are kept as the text in the file; whoever asks for one decides what it is. So nothing is
guessed, and YAML 1.1's traps do not exist: `1.10` is not 1.1, `22:22` is not 1342, `no` is not
False. Only an empty value, `~` and `null` (unquoted) are `None`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath

import yaml

from hwprovisioner.serving.problems import Path, Problem, show_path

#: What one value of the file may be.
Data = str | None | list["Data"] | dict[str, "Data"]

#: A file of 10,000 resources has some 500,000 nodes. More is an accident, or aliases of aliases.
MOST_NODES = 2_000_000

#: A resources file needs 7 levels; drivers' options may need a few more. Others need fewer.
DEEPEST = 50

_MERGE = "tag:yaml.org,2002:merge"
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the text; both numbers from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Located:
    """Data, and the places of its parts."""

    data: Data = None
    values: dict[Path, Position] = field(default_factory=dict)
    keys: dict[Path, Position] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def position(self, path: Path) -> Position:
        """Return where the value at a path begins, or the nearest thing around it that is there."""
        return _nearest(self.values, path)

    def key_position(self, path: Path) -> Position:
        """Return where the key at a path stands, or the nearest thing around it."""
        return self.keys.get(path) or self.position(path)

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """Return a problem with what stands at a path."""
        place = self.key_position(path) if at_key else self.position(path)
        return Problem(place.line, place.column, show_path(path), message)


def _nearest(places: Mapping[Path, Position], path: Path) -> Position:
    while path and path not in places:
        path = path[:-1]
    return places.get(path, Position(1, 1))


def file_text(file: str, most_bytes: int) -> str | Problem:
    """Return the text of a file, or why it is none."""
    try:
        with FilePath(file).open("rb") as opened:
            data = opened.read(most_bytes + 1)
    except OSError as error:
        return Problem(0, 0, "", f"cannot be read: {error.strerror or error}")
    if len(data) > most_bytes:
        return Problem(0, 0, "", f"is larger than {most_bytes >> 20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        return Problem(line, column, "", f"is not UTF-8: byte 0x{data[error.start]:02x}")


def read_located(text: str) -> Located:
    """Return what a YAML text says, with every problem of its form."""
    located = Located()
    loader = yaml.SafeLoader if _is_odd(text) else _FAST
    try:
        if _depth(text, loader) > DEEPEST:
            located.problems.append(Problem(1, 1, "", "nested too deeply"))
            return located
        node = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        located.problems.append(_syntax_problem(error))
    except yaml.YAMLError as error:
        located.problems.append(Problem(1, 1, "", f"not YAML: {str(error).splitlines()[0]}"))
    else:
        if node is not None:
            _Walk(located).start(node)
    return located


def _depth(text: str, loader: type) -> int:
    """Return how deeply a text is nested. Composing recurses, and PyYAML's C code crashes then."""
    depth = deepest = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            deepest = max(deepest, depth)
            if deepest > DEEPEST:
                break
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return deepest


_FAST: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _is_odd(text: str) -> bool:
    # The C parser fails on a lone surrogate with an encoding error of its own.
    return not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    message = " ".join(part for part in (error.context, error.problem) if part) or "not YAML"
    if mark is None:
        return Problem(1, 1, "", message)
    return Problem(mark.line + 1, mark.column + 1, "", f"not YAML: {message}")


class _Walk:
    """Walks the nodes once, filling in a Located."""

    def __init__(self, located: Located) -> None:
        self._located = located
        self._open: set[int] = set()
        self._nodes = 0

    def start(self, node: yaml.Node) -> None:
        try:
            self._located.data = self._value(node, ())
        except _TooLarge:
            self._located.problems.append(
                Problem(1, 1, "", f"larger than {MOST_NODES:,} values or too deep, aliases counted")
            )

    def _value(self, node: yaml.Node, path: Path) -> Data:
        self._nodes += 1
        if self._nodes > MOST_NODES or len(path) > DEEPEST:
            raise _TooLarge
        self._located.values[path] = _position(node)
        if isinstance(node, yaml.ScalarNode):
            # Plain is None from the Python parser, mostly "" from the C one.
            return None if not node.style and node.value in _NULLS else str(node.value)
        if id(node) in self._open:
            self._complain(path, node, "is an alias of something that it is part of")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self._value(item, (*path, at)) for at, item in enumerate(node.value)]
            return self._mapping(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.Node, path: Path) -> dict[str, Data]:
        data: dict[str, Data] = {}
        merged: dict[str, Data] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                for base in self._bases(value_node, path):
                    for key, value in self._mapping(base, path).items():
                        merged.setdefault(key, value)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._complain(path, key_node, "a key should be a word, not a list or a mapping")
                continue
            key = str(key_node.value)
            below = (*path, key)
            if key in data:
                first = self._located.keys[below]
                message = f"is here twice; the first is in line {first.line}"
                self._complain(below, key_node, message)
                continue
            self._located.keys[below] = _position(key_node)
            data[key] = self._value(value_node, below)
        return merged | data

    def _bases(self, node: yaml.Node, path: Path) -> Iterator[yaml.Node]:
        for base in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            self._nodes += 1
            if isinstance(base, yaml.MappingNode) and id(base) not in self._open:
                yield base
            else:
                self._complain((*path, "<<"), base, "should be the alias of another mapping")

    def _complain(self, path: Path, node: yaml.Node, message: str) -> None:
        place = _position(node)
        problem = Problem(place.line, place.column, show_path(path), message)
        self._located.problems.append(problem)


class _TooLarge(Exception):
    """More nodes than anyone means."""


def _position(node: yaml.Node) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)
