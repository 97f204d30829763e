"""What all records of the lab share: how they are read from a hash, and how a change is applied.

A view has 100,000 of them, so texts that many records have in common are one object each.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self, TypeAlias, TypeVar, cast, dataclass_transform

from hwprovisioner.state.keys import Kind
from hwprovisioner.state.tables import EndReason

Repeated: TypeAlias = Annotated[str, "repeated"]
"""A text that many records have."""

_Class = TypeVar("_Class")
_MOST_SHARED = 2**24
"""So many characters of texts at most are kept to be shared."""


class _Shared:
    """Gives one object for texts that are equal, as long as they are not too many.

    Not `sys.intern`: Python 3.12 keeps what that was given for ever, and texts come from outside.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._size = 0

    def __call__(self, text: str) -> str:
        known = self._texts.get(text)
        if known is not None:
            return known
        self._size += len(text)
        if self._size > _MOST_SHARED:
            self._texts.clear()
            self._size = len(text)
        self._texts[text] = text
        return text


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in _words(text))


def _flag(text: str) -> bool:
    return text == "1"


def _end_reason(text: str) -> EndReason | None:
    return EndReason(text) if text else None


@dataclass_transform(frozen_default=True)
def record(cls: type[_Class]) -> type[_Class]:
    """Make a class a kind of record: a dataclass of which nothing is to be changed.

    mypy holds that. A dataclass that holds it by itself takes ten times as long to make, and a view
    has 100,000 of them.
    """
    return dataclass(slots=True)(cls)


@record
class Record:
    """What all records share: how they are read from a hash, and how a change is applied."""

    kind: ClassVar[Kind]
    identity: ClassVar[str] = "id"
    """The name of the field that the record is known by."""
    rev: int = 0
    """The revision that changed it last."""

    _layout: ClassVar["_Layout"]

    @classmethod
    def field_names(cls) -> tuple[str, ...]:
        """Return the names of the fields, which are those of the hash."""
        return cls._layout.names

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Self:
        """Read a record from the fields of its hash; those not there keep their defaults."""
        return cls(*cls._layout.parsed(cls._layout.defaults, values))

    @classmethod
    def from_row(cls, row: Iterable[str | None]) -> Self:
        """Read a record from all of its `field_names`, None for those not in its hash."""
        return cls(
            *[
                default if text is None else parser(text)
                for text, parser, default in zip(
                    row, cls._layout.parsers, cls._layout.defaults, strict=True
                )
            ]
        )

    def updated(self, values: Mapping[str, object]) -> Self:
        """Return the record with some fields changed."""
        return type(self)(*self._layout.parsed(self._layout.read(self), values))


@dataclass(frozen=True, slots=True)
class _Layout:
    """The fields of one kind of record, in the order that its constructor takes them."""

    names: tuple[str, ...]
    parsers: tuple[Callable[[str], Any], ...]
    defaults: tuple[Any, ...]
    places: Mapping[str, int]
    """Where each name stands."""
    read: Callable[[Record], tuple[Any, ...]]

    def parsed(self, present: Iterable[Any], values: Mapping[str, object]) -> list[Any]:
        """Return all fields: those that are present, and instead of some what was read."""
        found = list(present)
        for name, value in values.items():
            place = self.places.get(name)
            if place is not None:
                found[place] = self.parsers[place](str(value))
        return found


_BY_TYPE: Mapping[object, Callable[[str], Any]] = {
    str: str,
    Repeated: _Shared(),
    int: int,
    bool: _flag,
    tuple[str, ...]: _words,
    tuple[int, ...]: _numbers,
    EndReason | None: _end_reason,
}


def _parser(of: object) -> Callable[[str], Any]:
    """Return what reads the text of a field; the types not listed are the enums of tables.py."""
    if found := _BY_TYPE.get(of):
        return found
    states: Mapping[str, StrEnum] = {str(state): state for state in cast("type[StrEnum]", of)}
    # Several times as fast as calling the enum.
    return states.__getitem__


def lay_out(record: type[Record]) -> None:
    """Find out once how a kind of record is read."""
    its = fields(record)
    names = tuple(each.name for each in its)
    record._layout = _Layout(
        names,
        tuple(_parser(each.type) for each in its),
        tuple(each.default for each in its),
        {name: place for place, name in enumerate(names)},
        operator.attrgetter(*names),
    )
