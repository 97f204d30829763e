"""``where``: an expression over a resource for what the fields of a demand cannot say.

CEL, compiled and type-checked when it is submitted: a field that does not exist, a number compared
with a text, or a result that is no yes or no is refused with its position. What only fails on a
resource (a label it does not have, a division by zero) means that this resource will not do.

An expression is evaluated for every kind of resource, so what it can cost is bounded beforehand:

* It has at most MAX_WHERE characters, and the library's parser allows 32 levels of nesting.
* It may take at most MAX_STEPS steps, counted in `where_cost.py` from the lengths that lists can
  have. CEL has no recursion and no loops but those over lists; behind that stands the library's own
  budget of 10,000 iterations.
* It cannot make anything that is larger than what it is given: no joining of strings or lists, no
  messages, no times.
* Regular expressions are RE2's, so linear in the text; but the library compiles them anew at each
  evaluation, which took seconds for counted repetitions and classes of Unicode. So they are written
  out, short, and without those.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from hwprovisioner.allocate.demand import Spec
from hwprovisioner.allocate.where_cost import Cost, Refused
from hwprovisioner.allocate.where_messages import (
    RESOURCE,
    RESOURCE_POOL,
    Made,
    Resource,
    fields_of,
)

MAX_WHERE = 1024
"""Characters."""

_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_VARIABLES = frozenset({"resource", *_UNITS})
_ENV = cel.NewEnv(
    descriptor_pool=RESOURCE_POOL,
    variables={"resource": cel.Type(RESOURCE), **dict.fromkeys(_UNITS, cel.Type.INT)},
)
_PATTERN_PROBE = cel.NewEnv(variables={"pattern": cel.Type.STRING}).compile("''.matches(pattern)")
# Which class of exception the library raises has changed between its versions.
_LIBRARY_ERRORS = (RuntimeError, ValueError, LookupError, TypeError)
_FIRST_ERROR = re.compile(r"ERROR: <input>:([0-9]+):([0-9]+): (.*)")
_UNKNOWN_FIELD = re.compile(r"undefined field '(.*)' not found in struct '(?:.*\.)?(\w+)'")
_AT_END = "mismatched input '<EOF>'"
_SHOWN = 200


class WhereError(ValueError):
    """An expression cannot be used; the message says what is wrong, where, and what would do."""


@dataclass(frozen=True, slots=True)
class Where:
    """An expression that was checked."""

    text: str
    uses_name: bool
    """Whether it looks at the name, so that resources with equal specs may differ."""
    _program: cel.Expression = field(compare=False, repr=False)
    _units: Mapping[str, int] = field(compare=False, repr=False)

    def admits(self, spec: Spec, name: str) -> bool:
        """Say whether a resource will do; one on which the expression fails will not."""
        value, _ = self._evaluate(spec, name)
        return value is True

    def error(self, spec: Spec, name: str) -> str:
        """Return why the expression fails on a resource, empty if it does not."""
        _, problem = self._evaluate(spec, name)
        return problem

    def _evaluate(self, spec: Spec, name: str) -> tuple[object, str]:
        message = _named(spec, name) if self.uses_name else _message(spec)
        return _run(self._program, {"resource": message, **self._units})


@lru_cache(maxsize=4096)
def compile_where(text: str) -> Where:
    """Check an expression.

    Raises:
        WhereError: it is not one, or not one of bounded cost.
    """
    if not text.strip():
        raise WhereError("is empty: write an expression such as resource.cpus >= 8")
    if len(text) > MAX_WHERE:
        raise WhereError(f"has {len(text):,} characters, at most {MAX_WHERE:,}: say less")
    program = _compile(text)
    if program.return_type() != cel.Type.BOOL:
        kind = program.return_type().name().rpartition(".")[2].lower()
        raise WhereError(f"is of type {kind}, not a yes or no: compare it with something")
    try:
        cost = Cost(program.serialize(), _VARIABLES)
        _check_patterns(cost)
    except Refused as refusal:
        raise WhereError(_placed(text, refusal)) from None
    units = {name: size for name, size in _UNITS.items() if name in cost.names}
    where = Where(text, cost.uses_name, program, units)
    if "resource" not in cost.names and (problem := where.error(Spec(), "")):
        raise WhereError(f"fails on every resource: {problem}")
    return where


def _compile(text: str) -> cel.Expression:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise WhereError(f"{_place(text, error.start)}: holds half a character") from None
    try:
        return _ENV.compile(text)
    except _LIBRARY_ERRORS as error:
        raise WhereError(_compile_problem(str(error))) from None


def _compile_problem(said: str) -> str:
    """Turn what the library says of an expression into what we say."""
    if "recursion" in said:
        return "is nested too deeply, at most 32 levels: use fewer brackets, or && and || instead"
    found = _FIRST_ERROR.search(said)
    if found is None:
        return f"cannot be read: {_words(said)}"
    line, column, problem = found.groups()
    return f"line {line}, column {column}: {_words(_with_advice(problem))}"


def _with_advice(problem: str) -> str:
    if unknown := _UNKNOWN_FIELD.match(problem):
        name, message = unknown.groups()
        has = ", ".join(fields_of(message)) if message in _MESSAGES else "no such field"
        return f"{_MESSAGES.get(message, message)} has no field {name!r}; it has {has}"
    if problem.startswith("undeclared reference"):
        word = problem.partition(" (in container")[0]
        return (
            f"{word}; there are resource, {', '.join(_UNITS)}, and what CEL has without extensions"
        )
    if problem.startswith("Syntax error: "):
        problem = problem.removeprefix("Syntax error: ").partition(" expecting ")[0]
        return f"{problem.replace(_AT_END, 'ends too early')}; write it as in resource.cpus >= 8"
    if "matching overload" in problem:
        return f"{problem}: both sides must be of types that go together"
    return problem


_MESSAGES = {"Resource": "a resource", "Gpu": "a card", "Os": "an operating system"}


def _check_patterns(cost: Cost) -> None:
    for pattern, offset in cost.patterns:
        _, problem = _run(_PATTERN_PROBE, {"pattern": pattern})
        if problem:
            raise Refused(f"matches what is no pattern of RE2: {problem}", offset)


def _placed(text: str, refusal: Refused) -> str:
    if refusal.offset is None:
        return str(refusal)
    return f"{_place(text, refusal.offset)}: {refusal}"


def _place(text: str, offset: int) -> str:
    before = text[:offset].split("\n")
    return f"line {len(before)}, column {len(before[-1]) + 1}"


def _words(said: str) -> str:
    """Return what the library said on one line, of bounded length, without its own error codes."""
    said = re.sub(r"^[A-Z_]+: | \[[A-Z_]+\]$", "", " ".join(said.split()))
    return said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"


def _run(program: cel.Expression, data: Mapping[str, Any]) -> tuple[object, str]:
    """Return the value and an empty text, or None and the error."""
    try:
        result = program.eval(data=data)
    except _LIBRARY_ERRORS as error:
        return None, _words(str(error))
    if result.type() == cel.Type.ERROR:
        return None, _words(str(result.value()))
    return result.value(), ""


@lru_cache(maxsize=4096)
def _message(spec: Spec) -> Made:
    """Return a resource without its name as expressions see it; nobody changes it."""
    message = Resource(
        kind=spec.kind,
        cpus=spec.cpus,
        memory=spec.memory,
        labels=dict(spec.labels),
        divisible=spec.division is not None,
        instances=spec.slots,
        images=sorted(spec.makes.images) if spec.makes else (),
    )
    for gpu in spec.gpus:
        message.gpus.add(brand=gpu.brand, model=gpu.model, memory=gpu.memory)
    system = spec.system
    message.os.family, message.os.distro, message.os.version = (
        system.family,
        system.distro,
        system.version,
    )
    return message


def _named(spec: Spec, name: str) -> Made:
    message = Resource(name=name)
    message.MergeFrom(_message(spec))
    return message
