"""The records of the lab as they stand in Redis hashes.

Each class lists the fields of one kind of record, which are exactly those that the change log
carries. Secrets (an allocation's ``token_sha``, a hold's ``connection``) stand in the same hashes
but in no class here, so nothing that reads records can show them.

What is asked for (`Allocation.demands`) and what a resource is (`Resource.spec`) are JSON of the
protocol's messages and opaque here. All times are ms since the epoch by the clock of Redis, 0 for
none.

A view has 100,000 of them, so texts that many records have in common are one object each.
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self, TypeAlias, cast

from hwprovisioner.state.keys import Kind
from hwprovisioner.state.tables import (
    Admin,
    AllocationState,
    EndReason,
    Health,
    HoldState,
    Presence,
)

Repeated: TypeAlias = Annotated[str, "repeated"]
"""A text that many records have."""

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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Allocation(Record):
    """One request and what became of it. Its lease's deadline stands in ``deadlines`` only."""

    kind: ClassVar[Kind] = Kind.ALLOCATION

    id: str = ""
    state: AllocationState = AllocationState.QUEUED
    demands: Repeated = ""
    requestor: Repeated = ""
    user: Repeated = ""
    priority: int = 0
    turn: int = 0
    """The revision that queued it: among equal priorities, the lower goes first."""
    ttl_ms: int = 0
    wait_ms: int = 0
    """How long it may wait, 0 for as long as its lease is kept alive."""
    max_ms: int = 0
    """How long it may last from its grant, 0 for as long as its lease is kept alive."""
    submit_ms: int = 0
    grant_ms: int = 0
    ready_ms: int = 0
    end_ms: int = 0
    end_reason: EndReason | None = None
    end_detail: str = ""
    left_ms: int = 0
    """What its lease had left when it was queued, granted or became ready, whichever was last."""
    holds: tuple[str, ...] = ()
    """Its holds that are not over."""
    draining: tuple[str, ...] = ()
    """Those of its resources that are being drained."""
    pending: int = 0
    """How many of them are not ready."""
    excluded: tuple[str, ...] = ()
    """Resources that failed it."""
    tries: int = 0
    """How often its preparation failed."""
    last_failure: str = ""
    request_key: str = ""
    class_id: Repeated = ""
    """What it asks for, as a short digest: those that ask for the same have the same."""
    ssh_public_key: str = ""
    """The holder's, for the drivers of its resources; empty for none."""
    book_from_ms: int = 0
    """From when it is booked, 0 if it is no booking."""
    book_until_ms: int = 0
    """Until when it is booked: then it ends, 0 if it is no booking."""
    reservation: str = ""
    """What a booking reserves, as JSON, opaque here:
    ``{HOST: {"resource": NAME, "cpus": n, "memory": n, "gpus": [...]}}``."""
    preempt_ms: int = 0
    """When it gives way to another, 0 if it does not; an outage may put that off."""
    preempted_for: str = ""
    """The allocation that it gives way to."""


@dataclass(frozen=True, slots=True)
class Hold(Record):
    """A resource bound to a host of an allocation; its id is ``RESOURCE.FENCE`` of its start."""

    kind: ClassVar[Kind] = Kind.HOLD

    id: str = ""
    allocation: str = ""
    host: Repeated = ""
    resource: str = ""
    manager: Repeated = ""
    state: HoldState = HoldState.OFFERED
    fence: int = 0
    cpus: int = 0
    memory: int = 0
    """Bytes."""
    gpus: tuple[int, ...] = ()
    """The cards, by their places in the resource's list."""
    progress: str = ""


@dataclass(frozen=True, slots=True)
class Resource(Record):
    """Something a test can run on."""

    kind: ClassVar[Kind] = Kind.RESOURCE
    identity: ClassVar[str] = "name"

    name: str = ""
    manager: Repeated = ""
    spec: Repeated = ""
    generation: int = 0
    """One more each time the description changes."""
    volunteered: bool = False
    withdrawn_reason: str = ""
    removed: bool = False
    """No longer in its manager's inventory; the record goes when nothing holds it."""
    health: Health = Health.HEALTHY
    admin: Admin = Admin.ENABLED
    axis_reason: str = ""
    """Why health or admin state was moved last."""
    fence: int = 0
    slots: int = 1
    """How many holds at once; 1 of an exclusive resource."""
    cpus: int = 0
    memory: int = 0
    used_slots: int = 0
    used_cpus: int = 0
    used_memory: int = 0
    used_gpus: tuple[int, ...] = ()
    holds: tuple[str, ...] = ()
    """All its holds, those being cleaned too."""
    booked: tuple[str, ...] = ()
    """The bookings that have it; some may have ended, or been given another resource."""
    rest_until: int = 0
    """Declined: not to be offered before that time."""
    rest_reason: str = ""


@dataclass(frozen=True, slots=True)
class Manager(Record):
    """A resource manager."""

    kind: ClassVar[Kind] = Kind.MANAGER

    id: str = ""
    presence: Presence = Presence.ONLINE
    epoch: int = 0
    version: str = ""
    register_ms: int = 0


_BY_TYPE: Mapping[object, Callable[[str], Any]] = {
    str: str,
    Repeated: _Shared(),
    int: int,
    bool: _flag,
    tuple[str, ...]: _words,
    tuple[int, ...]: _numbers,
    EndReason | None: _end_reason,
}

RECORDS: Mapping[Kind, type[Record]] = {
    record.kind: record for record in (Allocation, Hold, Resource, Manager)
}


def _parser(of: object) -> Callable[[str], Any]:
    """Return what reads the text of a field; the types not listed are the enums of tables.py."""
    if found := _BY_TYPE.get(of):
        return found
    states: Mapping[str, StrEnum] = {str(state): state for state in cast("type[StrEnum]", of)}
    # Several times as fast as calling the enum.
    return states.__getitem__


for _record in RECORDS.values():
    _fields = fields(_record)
    _names = tuple(f.name for f in _fields)
    _record._layout = _Layout(
        _names,
        tuple(_parser(f.type) for f in _fields),
        tuple(f.default for f in _fields),
        {name: place for place, name in enumerate(_names)},
        operator.attrgetter(*_names),
    )
