"""The options of driver `qemu`."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hwprovisioner.resourcemanager.drivers._machine_options import MachineOptions
from hwprovisioner.resourcemanager.schema import Text


def _specific(address: str) -> str:
    try:
        is_specific = not ipaddress.IPv4Address(address).is_unspecified
    except ValueError:
        is_specific = False
    if not is_specific:
        raise ValueError(f"should be an IPv4 address that holders reach, is {address!r}")
    return address


class QemuOptions(MachineOptions):
    """What stands under `options`."""

    #: Where machines live; empty is `qemu` in the manager's state folder.
    folder: Text = ""
    accel: Literal["auto", "kvm", "tcg"] = "auto"
    #: Where the forwarded SSH ports listen.
    listen: Annotated[str, Field(max_length=64), AfterValidator(_specific)] = "127.0.0.1"
    program: Annotated[Text, Field(min_length=1)] = "qemu-system-x86_64"
    #: Given to QEMU after its own.
    arguments: list[Text] = Field(default_factory=list)
