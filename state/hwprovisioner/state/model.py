"""The records of the lab as they stand in Redis hashes.

Each class lists the fields of one kind of record, which are exactly those that the change log
carries. Secrets (an allocation's ``token_sha``, a hold's ``connection``) stand in the same hashes
but in no class here, so nothing that reads records can show them.

What is asked for (`Allocation.demands`) and what a resource is (`Resource.spec`) are JSON of the
protocol's messages and opaque here. All times are ms since the epoch by the clock of Redis, 0 for
none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self, cast

from hwprovisioner.state.keys import Kind
from hwprovisioner.state.tables import (
    Admin,
    AllocationState,
    EndReason,
    Health,
    HoldState,
    Presence,
)


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

    _parsers: ClassVar[Mapping[str, Callable[[str], Any]]]

    @classmethod
    def field_names(cls) -> tuple[str, ...]:
        """Return the names of the fields, which are those of the hash."""
        return tuple(cls._parsers)

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Self:
        """Read a record from the fields of its hash; those not there keep their defaults."""
        return cls(**cls._parsed(values))

    def updated(self, values: Mapping[str, object]) -> Self:
        """Return the record with some fields changed."""
        return replace(self, **self._parsed(values))

    @classmethod
    def _parsed(cls, values: Mapping[str, object]) -> dict[str, Any]:
        parsers = cls._parsers
        return {
            name: parsers[name](str(value)) for name, value in values.items() if name in parsers
        }


@dataclass(frozen=True, slots=True)
class Allocation(Record):
    """One request and what became of it. Its lease's deadline stands in ``deadlines`` only."""

    kind: ClassVar[Kind] = Kind.ALLOCATION

    id: str = ""
    state: AllocationState = AllocationState.QUEUED
    demands: str = ""
    requestor: str = ""
    user: str = ""
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


@dataclass(frozen=True, slots=True)
class Hold(Record):
    """A resource bound to a host of an allocation; its id is ``RESOURCE.FENCE`` of its start."""

    kind: ClassVar[Kind] = Kind.HOLD

    id: str = ""
    allocation: str = ""
    host: str = ""
    resource: str = ""
    manager: str = ""
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
    manager: str = ""
    spec: str = ""
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
    int: int,
    bool: _flag,
    tuple[str, ...]: _words,
    tuple[int, ...]: _numbers,
    EndReason | None: _end_reason,
}

RECORDS: Mapping[Kind, type[Record]] = {
    record.kind: record for record in (Allocation, Hold, Resource, Manager)
}

for _record in RECORDS.values():
    # The remaining types are the StrEnums of tables.py, which parse their own names.
    _record._parsers = {
        f.name: _BY_TYPE.get(f.type, cast("Callable[[str], Any]", f.type)) for f in fields(_record)
    }
