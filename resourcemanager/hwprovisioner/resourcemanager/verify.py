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

Model = TypeVar("Model", bound=BaseModel)

#: What pydantic's error types mean to a person; `{}` is what stands there.
_SHOULD = {
    "int_parsing": "should be a whole number, is {}",
    "int_type": "should be a whole number, is {}",
    "int_from_float": "should be a whole number, is {}",
    "int_parsing_size": "should be a smaller number, is {}",
    "float_parsing": "should be a number, is {}",
    "float_type": "should be a span of time such as 90s, is {}",
    "bool_parsing": "should be true or false, is {}",
    "bool_type": "should be true or false, is {}",
    "string_type": "should be a word, is {}",
    "list_type": "should be a list, is {}",
    "dict_type": "should be a mapping, is {}",
    "model_type": "should be a mapping, is {}",
    "model_attributes_type": "should be a mapping, is {}",
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
        return [
            _problem(located, path, model, detail, elsewhere)
            for detail in error.errors(include_url=False)
        ]


def _problem(
    located: Located,
    path: Path,
    model: type[BaseModel],
    detail: ErrorDetails,
    elsewhere: Sequence[str],
) -> Problem:
    # pydantic marks what is wrong with a key itself by a part of its own.
    below = tuple(part for part in detail["loc"] if part != "[key]")
    whole = (*path, *below)
    if detail["type"] == "extra_forbidden":
        return located.problem(whole, _unknown_key(model, below, elsewhere), at_key=True)
    if detail["type"] == "missing":
        place = located.key_position(whole[:-1])
        return Problem(place.line, place.column, show_path(whole), "is needed")
    if detail["type"] in _SHOULD:
        return located.problem(whole, _SHOULD[detail["type"]].format(quote(detail["input"])))
    cause = (detail.get("ctx") or {}).get("error")
    if isinstance(cause, ValueError):
        return located.problem(whole, str(cause))
    message = detail["msg"][:1].lower() + detail["msg"][1:]
    shown = "" if isinstance(detail["input"], dict | list) else f", is {quote(detail['input'])}"
    return located.problem(whole, message.replace("input ", "") + shown)


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
