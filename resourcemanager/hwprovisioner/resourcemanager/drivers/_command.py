"""Programs that a resources file names."""

from __future__ import annotations

import shlex
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from hwprovisioner.serving.problems import quote


def _words(value: object) -> object:
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError as error:
            raise ValueError(f"cannot be split into words: {str(error).lower()}") from None
    if not isinstance(value, list):
        raise ValueError(f"should be a program and its arguments, is {quote(value)}")
    if not value or not value[0]:
        raise ValueError("is empty: name a program, and its arguments")
    return value


#: Program and arguments, as a list or as one line that no shell reads.
Command = Annotated[
    list[str],
    BeforeValidator(_words),
    WithJsonSchema({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
