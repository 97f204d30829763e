"""What stands in the journal, one JSON value a line, each with its checksum."""

from __future__ import annotations

import functools
import json
import zlib
from dataclasses import dataclass, fields
from typing import Any

from hwprovisioner.resourcemanager.holds import Held, Phase
from hwprovisioner.resourcemanager.model import (
    Connection,
    Hold,
    Instance,
    OperatingSystem,
    Share,
)


@dataclass(frozen=True, slots=True)
class Put:
    """A hold as it is now."""

    held: Held


@dataclass(frozen=True, slots=True)
class Forget:
    """A hold that is no longer of interest."""

    hold_id: str


@dataclass(frozen=True, slots=True)
class Seen:
    """The highest fences seen for a resource: of all, and of offers alone; and its newest look."""

    resource: str
    fence: int
    offered: int
    look: int


@dataclass(frozen=True, slots=True)
class Pooled:
    """An instance that is up, and that nobody ever had: it may be handed over."""

    resource: str
    instance: Instance
    #: What it was made by; it differs when the resource was described otherwise then.
    maker: str


@dataclass(frozen=True, slots=True)
class Unpooled:
    """An instance that is not to be handed over any more. What was given to a hold never is."""

    name: str


@dataclass(frozen=True, slots=True)
class NewMark:
    """The manager's mark was made after the journal, so it knows all that bears it.

    Nothing that was made before, should the lab still know of it, can be found by it.
    """


@dataclass(frozen=True, slots=True)
class JournalId:
    """What the journal is known by: what one of another id knew, this one may not."""

    id: str


Record = Put | Forget | Seen | Pooled | Unpooled | NewMark | JournalId


class Unreadable(Exception):
    """A line that is not a whole record."""


def encode(record: Record) -> bytes:
    """Return a record as a line."""
    match record:
        case Put(held):
            data: dict[str, object] = {"put": held}
        case Forget(hold_id):
            data = {"forget": hold_id}
        case Seen(resource, fence, offered, look):
            data = {"seen": resource, "fence": fence, "offered": offered, "look": look}
        case Pooled():
            data = {"pooled": record}
        case Unpooled(name):
            data = {"unpooled": name}
        case NewMark():
            data = {"new_mark": True}
        case JournalId(id):
            data = {"journal_id": id}
    text = _ENCODER.encode(data).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _fields(value: Any) -> dict[str, object]:  # noqa: ANN401  # any dataclass
    # Not `asdict`, which copies everything deeply before anything is written.
    return {name: getattr(value, name) for name in _names(value.__class__)}


@functools.cache
def _names(of: Any) -> tuple[str, ...]:  # noqa: ANN401  # any dataclass
    return tuple(field.name for field in fields(of))


_ENCODER = json.JSONEncoder(separators=(",", ":"), default=_fields)


def decode(line: bytes) -> Record:
    """Return the record in a line.

    Raises:
        Unreadable: It was cut or changed, or a newer version wrote it.
    """
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
        raise Unreadable("cut or changed")
    try:
        return _record(json.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"not known: {error!r}") from error


def _record(data: dict[str, Any]) -> Record:
    if "put" in data:
        return Put(_held(data["put"]))
    if "forget" in data:
        return Forget(data["forget"])
    if "pooled" in data:
        return _pooled(data["pooled"])
    if "unpooled" in data:
        return Unpooled(data["unpooled"])
    if "new_mark" in data:
        return NewMark()
    if "journal_id" in data:
        return JournalId(data["journal_id"])
    return Seen(data["seen"], data["fence"], data["offered"], data["look"])


def _held(data: dict[str, Any]) -> Held:
    hold, connection = data["hold"], data["connection"]
    return Held(
        hold=Hold(**(hold | {"share": _share(hold["share"])})),
        phase=Phase(data["phase"]),
        connection=Connection(**connection) if connection is not None else None,
        reason=data["reason"],
        is_lost=data["is_lost"],
    )


def _pooled(data: dict[str, Any]) -> Pooled:
    instance = data["instance"]
    read = {"share": _share(instance["share"]), "os": OperatingSystem(**instance["os"])}
    return Pooled(data["resource"], Instance(**(instance | read)), data["maker"])


def _share(data: dict[str, Any]) -> Share:
    return Share(data["cpus"], data["memory_bytes"], tuple(data["gpus"]))
