"""The words people use for the contract's enum values, such as `virtual-machine` and `queued`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwprovisioner.client.errors import BadDemand
from hwprovisioner.client.guessing import did_you_mean
from hwprovisioner.v1.resource_pb2 import ResourceKind

if TYPE_CHECKING:
    from google.protobuf.internal.enum_type_wrapper import _EnumTypeWrapper

    AnyEnum = _EnumTypeWrapper[Any]

# What people write for a kind beside its own word.
KIND_ALIASES = {
    "vm": "virtual-machine",
    "virtual": "virtual-machine",
    "physical": "physical-server",
    "server": "physical-server",
    "edge": "edge-device",
    "device": "edge-device",
    "cloud": "cloud-instance",
    "instance": "cloud-instance",
}


def word(enum: AnyEnum, value: int) -> str:
    """Gives the word for an enum value: `ALLOCATION_STATE_QUEUED` is `queued`.

    A value that this version does not know is its number; an unspecified one is empty.
    """
    if value == 0:
        return ""
    try:
        name = enum.Name(value)
    except ValueError:
        return str(value)
    return name.removeprefix(_prefix(enum)).lower().replace("_", "-")


def words(enum: AnyEnum) -> list[str]:
    """Lists the words of an enum, without the unspecified one."""
    return [word(enum, value) for value in enum.values() if value]


def value(enum: AnyEnum, text: str, what: str) -> int:
    """Finds the enum value for a word, without regard to case, `_` and `-`.

    Raises:
        BadDemand: There is no such word; the message names the known ones.
    """
    wanted = text.strip().lower().replace("_", "-")
    for number in enum.values():
        if number and word(enum, number) == wanted:
            return int(number)
    known = words(enum)
    raise BadDemand(
        f"{what} {text!r} is not known{did_you_mean(wanted, known)}; known: {', '.join(known)}",
        reason="UNKNOWN_WORD",
        metadata={what: text},
    )


def kind_value(text: str) -> ResourceKind.ValueType:
    """Finds a kind of resource by its word or an alias such as `vm`.

    Raises:
        BadDemand: There is no such kind.
    """
    plain = text.strip().lower().replace("_", "-")
    return ResourceKind.ValueType(value(ResourceKind, KIND_ALIASES.get(plain, plain), "kind"))


def _prefix(enum: AnyEnum) -> str:
    """Finds what all names of an enum begin with: what its zero has before UNSPECIFIED."""
    return str(enum.Name(0)).removesuffix("UNSPECIFIED")
