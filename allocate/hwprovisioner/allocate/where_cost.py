"""What an expression may do, and how many steps that can take at most.

An expression is judged by its syntax, before it has seen any resource. Its lists come from a
resource, which has at most so many cards, labels and images, or are written out; nothing else makes
longer ones, because joining strings and lists is refused. So each loop has a known bound, and the
steps of a loop are those of its body times that bound. A step takes about 100 ns.
"""

import re
from collections.abc import Iterator

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError

from hwprovisioner.allocate.where_messages import (
    MAX_CARDS,
    MAX_IMAGES,
    MAX_LABELS,
    CheckedExpr,
    Made,
)

MAX_STEPS = 10_000
"""About a millisecond."""
MAX_PATTERN = 64

_FUNCTIONS = {
    *("_&&_", "_||_", "!_", "_?_:_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "_[_]"),
    *("_+_", "_-_", "_*_", "_/_", "_%_", "-_", "@not_strictly_false"),
    *("size", "contains", "startsWith", "endsWith", "matches", "int", "uint", "double", "string"),
}
_WORDS = "size, contains, startsWith, endsWith, matches, int, uint, double and string"
_JOINS = {"add_string", "add_bytes", "add_list"}
_LISTS = {"gpus": MAX_CARDS, "labels": MAX_LABELS, "images": MAX_IMAGES}
_LONGEST = 512
"""Elements of a list within a list: no more can be written out in an expression."""
_FUNCTION_STEPS = 20
_PATTERN_STEPS = 100
"""For each character: the library compiles a pattern anew each time, 5 us for a dot."""


class Refused(Exception):
    """An expression does what it may not, or too much of it."""

    def __init__(self, problem: str, offset: int | None = None) -> None:
        """Say what is wrong and at which character, from 0; None for all of it."""
        super().__init__(problem)
        self.offset = offset


class Cost:
    """The steps of a checked expression, and what it looks at."""

    def __init__(self, serialized: bytes, variables: frozenset[str]) -> None:
        """Judge an expression, as the library serializes it.

        Raises:
            Refused: it does what it may not, or may take more than MAX_STEPS.
        """
        checked = _checked(serialized)
        self._offsets = {pair.key: pair.value for pair in checked.source.positions}
        self._plain = {pair.key for pair in checked.types if pair.value.primitive}
        self._overloads = {pair.key: set(pair.value.overloads) for pair in checked.references}
        self._variables = variables
        self.names: set[str] = set()
        """The variables it uses."""
        self.patterns: list[tuple[str, int]] = []
        """Its regular expressions and where each stands."""
        self.uses_name = False
        """Whether it looks at the name of the resource."""
        self.steps = self._steps(checked.expr)
        if self.steps > MAX_STEPS:
            raise Refused(
                f"may take {self.steps:,} steps, at most {MAX_STEPS:,}: a loop within a loop, over"
                " images, or with a pattern in it is too much; compare with one element, such as"
                " resource.gpus[0]"
            )

    def _steps(self, expr: Made) -> int:
        if expr.HasField("loop"):
            return self._loop_steps(expr)
        if expr.HasField("call"):
            return self._call_steps(expr)
        if expr.HasField("struct") and expr.struct.message:
            raise self._refused(expr, "makes a message, which it may not: compare the fields")
        if expr.HasField("ident"):
            self._note(expr.ident.name)
        if expr.HasField("select") and _name(expr.select.operand) == "resource":
            self.names.add("resource")
            self.uses_name |= expr.select.field == "name"
            return 2
        return 1 + sum(self._steps(child) for child in _children(expr))

    def _note(self, name: str) -> None:
        name = name.removeprefix(".")
        self.names.add(name)
        # The whole resource, so its name too.
        self.uses_name |= name == "resource"

    def _loop_steps(self, expr: Made) -> int:
        loop = expr.loop
        if loop.variable in self._variables:
            raise self._refused(expr, f"calls a variable {loop.variable!r}: use another word")
        times = _most(loop.range)
        # Each element is joined to a copy of those before it.
        copying = times if loop.start.HasField("list") else 0
        each = self._steps(loop.condition) + self._steps(loop.step) + copying
        around = (loop.range, loop.start, loop.result)
        return times * each + sum(self._steps(part) for part in around)

    def _call_steps(self, expr: Made) -> int:
        call = expr.call
        if call.function not in _FUNCTIONS:
            problem = f"uses {call.function}(), which it may not: there are operators, {_WORDS}"
            raise self._refused(expr, problem)
        # The names of what map() and filter() gather begin with @, which nobody can write.
        gathers = call.args and _name(call.args[0]).startswith("@")
        if self._overloads.get(expr.id, set()) & _JOINS and not gathers:
            raise self._refused(expr, "joins strings or lists, which it may not: compare the parts")
        return self._own_steps(expr) + sum(self._steps(child) for child in _children(expr))

    def _own_steps(self, expr: Made) -> int:
        call = expr.call
        match call.function:
            case "_==_" | "_!=_":
                return 1 if self._plain & {arg.id for arg in call.args} else _LONGEST
            case "@in":
                return _most(call.args[1])
            case "matches":
                return _PATTERN_STEPS * len(self._pattern(expr))
            case name if name.isalpha():
                return _FUNCTION_STEPS
        return 1

    def _pattern(self, expr: Made) -> str:
        pattern: str = expr.call.args[-1].const.string
        if not pattern:
            raise self._refused(expr, "matches a pattern that is not written out as 'text'")
        if len(pattern) > MAX_PATTERN or re.search(r"\{|\\[pP]", pattern):
            raise self._refused(
                expr,
                f"matches a pattern that is too costly: at most {MAX_PATTERN} characters,"
                r" without {counts} and \p classes",
            )
        self.patterns.append((pattern, self._offset(expr)))
        return pattern

    def _refused(self, expr: Made, problem: str) -> Refused:
        return Refused(problem, self._offset(expr))

    def _offset(self, expr: Made) -> int:
        return int(self._offsets.get(expr.id, 0))


def _checked(serialized: bytes) -> Made:
    try:
        # protobuf reads 100 levels.
        return CheckedExpr.FromString(AnyMessage.FromString(serialized).value)
    except DecodeError:
        raise Refused("is nested too deeply: use fewer brackets and loops") from None


def _name(expr: Made) -> str:
    return str(expr.ident.name).removeprefix(".")


def _children(expr: Made) -> Iterator[Made]:
    if expr.HasField("select"):
        yield expr.select.operand
    if expr.HasField("call"):
        if expr.call.HasField("target"):
            yield expr.call.target
        yield from expr.call.args
    yield from expr.list.elements
    for entry in expr.struct.entries:
        yield entry.map_key
        yield entry.value


def _most(expr: Made) -> int:
    """Return how many elements a list or map has at most."""
    if expr.HasField("list"):
        return len(expr.list.elements)
    if expr.HasField("struct"):
        return len(expr.struct.entries)
    if expr.HasField("loop"):
        return _most(expr.loop.range)
    if expr.HasField("select") and _name(expr.select.operand) == "resource":
        return _LISTS.get(expr.select.field, _LONGEST)
    return _LONGEST
