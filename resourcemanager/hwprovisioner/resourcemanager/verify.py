"""Checks data against a pydantic model and says what is wrong in the file's words."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hwprovisioner.serving.located import Data, Located
from hwprovisioner.serving.problems import Path, Problem, quote, show_path, suggest
from hwprovisioner.serving.secret_names import is_secret

Model = TypeVar("Model", bound=BaseModel)

#: What pydantic's error types mean to a person; `{}` is what stands there, the rest pydantic's own.
_SHOULD = {
    "missing": "is needed",
    "int_parsing": "should be a whole number, is {}",
    "int_type": "should be a whole number, is {}",
    "int_from_float": "should be a whole number, is {}",
    "int_parsing_size": "should be a smaller number, is {}",
    "float_parsing": "should be a number, is {}",
    "float_type": "should be a span of time such as 90s, is {}",
    "bool_parsing": "should be true or false, is {}",
    "bool_type": "should be true or false, is {}",
    "string_type": "should be a word, is {}",
    "string_too_short": "should not be empty",
    "string_too_long": "should have at most {max_length} characters",
    "greater_than": "should be more than {gt:g}, is {}",
    "greater_than_equal": "should be {ge} or more, is {}",
    "less_than": "should be less than {lt:g}, is {}",
    "less_than_equal": "should be {le} or less, is {}",
    "too_short": "should have {min_length} or more entries, has {actual_length}",
    "too_long": "should have {max_length} entries or fewer, has {actual_length}",
    "list_type": "should be a list, is {}",
    "dict_type": "should be a mapping, is {}",
    "model_type": "should be a mapping, is {}",
}

#: Keys that belong to the other section, and where they belong.
_ELSEWHERE = {
    "cpu": "dynamic resources have `limits: {cpu: …}`",
    "mem": "dynamic resources have `limits: {mem: …}`",
    "gpus": "dynamic resources have `limits: {gpus: …}`",
    "instances": "it belongs in `limits` of a dynamic resource",
    "limits": "only dynamic resources have it; a static one has cpu, mem and gpus",
    "default": "only dynamic resources have it",
    "pool": "only dynamic resources have it",
    "cpus": "did you mean 'cpu'?",
    "memory": "did you mean 'mem'?",
}


def verify(
    located: Located, path: Path, model: type[Model], data: Data, elsewhere: Sequence[str] = ()
) -> Model | list[Problem]:
    """Return the data as the model, or every problem with it.

    Args:
        located: The file that the data is from.
        path: Where in the file the data stands.
        model: What it should be.
        data: The data.
        elsewhere: Keys that are known, but belong in `options` beside where they may stand.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        whole = error.errors(include_url=False)
        without_input = error.errors(include_url=False, include_input=False)
        return [
            _problem(located, path, model, hidden if _is_in_secret(one) else one, elsewhere)
            for one, hidden in zip(whole, without_input, strict=True)
        ]


def _problem(
    located: Located,
    path: Path,
    model: type[BaseModel],
    detail: ErrorDetails,
    elsewhere: Sequence[str],
) -> Problem:
    below = _place(detail)
    whole = (*path, *below)
    message = in_words(detail, model, elsewhere)
    if detail["type"] == "missing":
        place = located.key_position(whole[:-1])
        return Problem(place.line, place.column, show_path(whole), message)
    return located.problem(whole, message, at_key=detail["type"] == "extra_forbidden")


def in_words(detail: ErrorDetails, model: type[BaseModel], elsewhere: Sequence[str] = ()) -> str:
    """Return what is wrong with data of a model, for a person; see `verify`.

    What stands there is quoted, unless the detail was made without it.
    """
    kind, ctx, value = detail["type"], detail.get("ctx") or {}, detail.get("input")
    quoted = quote(value) if "input" in detail else "something else"
    if kind == "extra_forbidden":
        return _unknown_key(model, _place(detail), elsewhere)
    if kind in _SHOULD:
        words = _SHOULD[kind].format(quoted, **ctx)
        return words + _advice(kind, value, model, _place(detail))
    cause = ctx.get("error")
    if isinstance(cause, ValueError):
        return str(cause)
    message = (detail["msg"][:1].lower() + detail["msg"][1:]).replace("input ", "")
    return message if isinstance(value, dict | list) else f"{message}, is {quoted}"


def _is_in_secret(detail: ErrorDetails) -> bool:
    """Say whether what is wrong is likely to be a secret, or is within one."""
    return any(map(is_secret, detail["loc"]))


def _place(detail: ErrorDetails) -> Path:
    # pydantic marks what is wrong with a key itself by a part of its own.
    return tuple(part for part in detail["loc"] if part != "[key]")


def _advice(kind: str, value: object, model: type[BaseModel], below: Path) -> str:
    """Return how what stands there could be written, to be put after a message."""
    if kind == "list_type" and isinstance(value, str):
        return f"; a list of one is [{value}]"
    if kind == "model_type" and (known := sorted(_fields(model, below))):
        return f"; its keys are {', '.join(known)}"
    return ""


def _unknown_key(model: type[BaseModel], below: Path, elsewhere: Sequence[str]) -> str:
    key = str(below[-1])
    known = set(_fields(model, below[:-1]))
    if key in elsewhere:
        return f"belongs in `options: {{{key}: …}}`"
    if key in _ELSEWHERE and "driver" in known:
        return f"unknown key; {_ELSEWHERE[key]}"
    return f"unknown key{suggest(key, known)}"


def _fields(annotation: Any, below: Path) -> Iterator[str]:  # noqa: ANN401  # a type, of any sort
    """Yield the names of the fields that the model at a path below an annotation has."""
    for choice in _choices(annotation):
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            if not below:
                yield from choice.model_fields
            elif (info := choice.model_fields.get(str(below[0]))) is not None:
                yield from _fields(info.annotation, below[1:])
        elif below and typing.get_origin(choice) in (list, tuple, dict, Mapping):
            yield from _fields(typing.get_args(choice)[-1], below[1:])


def _choices(annotation: Any) -> Iterator[Any]:  # noqa: ANN401  # as above
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _choices(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for choice in typing.get_args(annotation):
            yield from _choices(choice)
    else:
        yield annotation
