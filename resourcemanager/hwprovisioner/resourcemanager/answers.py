"""What drivers answer, looked at before it is written down or sent.

What the lab does not take would end the manager's stream, and what cannot be written down the
manager: neither is the affair of its other resources. So the limits here are the contract's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, Field, Strict, ValidationError

from hwprovisioner.resourcemanager.driver import Channel
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import Connection, Facts, Makes
from hwprovisioner.resourcemanager.verify import in_words

T = TypeVar("T", bound=Connection | Facts | Makes)

#: What people read is at most so long: as the contract says.
LONGEST = 1024


def _whole(text: str) -> str:
    text.encode()
    return text


_Any = Annotated[str, Strict(), AfterValidator(_whole)]
_Word = Annotated[_Any, Field(max_length=128)]
_Text = Annotated[_Any, Field(max_length=LONGEST)]
_Number = Annotated[int, Strict(), Field(ge=0, le=2**53)]


class _Answer(BaseModel, extra="forbid"):
    """So that a field that comes to the model is not forgotten here."""


class _Connection(_Answer):
    protocol: _Word
    address: _Text
    port: Annotated[int, Strict(), Field(ge=0, le=65_535)]
    user: _Word
    key_file: _Text
    properties: Annotated[
        dict[_Word, Annotated[_Any, Field(max_length=16_384)]], Field(max_length=64)
    ]


# Words that are too long are cut, and lists as well, where they are sent.
class _Gpu(_Answer):
    brand: _Any
    model: _Any
    memory_bytes: _Number


class _System(_Answer):
    family: _Any
    distro: _Any
    version: _Any
    kernel: _Any


class _Facts(_Answer):
    cpus: _Number | None
    memory_bytes: _Number | None
    gpus: Annotated[tuple[_Gpu, ...], Field(max_length=64)] | None
    os: _System | None


class _Makes(_Answer):
    images: tuple[Annotated[_Any, Field(min_length=1)], ...]
    systems: tuple[_System, ...]
    disk_bytes: _Number
    parameters: tuple[
        Annotated[_Any, Field(pattern="^[A-Za-z0-9]([A-Za-z0-9._/-]{0,62}[A-Za-z0-9])?$")],
        ...,
    ]


def looked_at(answer: T) -> T:
    """Return what a driver answered, if all that is in it can be written down and sent.

    Raises:
        DriverError: Something cannot; says which field, and never what stands in it: it may be
            secret.
    """
    match answer:
        case Connection():
            model: type[BaseModel] = _Connection
        case Facts():
            model = _Facts
        case _:
            model = _Makes
    returned = f"the driver returned {type(answer).__name__}"
    try:
        model.model_validate(asdict(answer))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(step) for step in first["loc"] if step != "[key]")
        raise DriverError(f"{returned} with a wrong {field}: {in_words(first, model)}") from None
    except Exception as error:  # whatever is in it cannot even be copied
        raise DriverError(f"{returned} that cannot be read: {type(error).__name__}") from None
    return answer


def looking_at(call: Callable[[], Awaitable[object]]) -> Callable[[], Any]:
    """Return a call of a driver whose answer is looked at, if it is one."""

    async def looked() -> object:
        answer = await call()
        return looked_at(answer) if isinstance(answer, Connection | Facts) else answer

    return looked


def both_ends(answer: tuple[Any, ...]) -> Channel:
    """Return a channel that a driver opened.

    Raises:
        DriverError: It is none.
    """
    match answer:
        case (reader, writer) if hasattr(reader, "read") and hasattr(writer, "write"):
            return reader, writer
    raise DriverError("the driver returned something else than a reader and a writer")


def said(error: object) -> str:
    """Return what a driver says, cut, and without the halves of characters that cannot be sent."""
    return str(error).encode(errors="backslashreplace").decode()[:LONGEST]
