"""What a resources file may say of machines that are reached by SSH."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from hwprovisioner.resourcemanager.drivers._command import Command as Program
from hwprovisioner.resourcemanager.drivers._relay import PowerSection
from hwprovisioner.resourcemanager.drivers._ssh_commands import Command
from hwprovisioner.resourcemanager.drivers._ssh_steps import Step
from hwprovisioner.resourcemanager.schema import Section, Size, Text

_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


def _user(name: str) -> str:
    if name and not _USER.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a user: letters, digits and . _ - only")
    return name


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"{path!r} should be a whole path, such as /var")
    return path


def _plain(path: str) -> str:
    if "\n" in path or ".." in path.split("/"):
        raise ValueError(f"{path!r} should be a path in one line, without `..`")
    return path


class TemperatureSection(Section):
    """What has to be cool."""

    #: Prints degrees, as the last word of its last line.
    run: Command
    below: Annotated[float, Field(gt=-273, lt=1_000)]


class SshOptions(Section):
    """What stands under `options`: steps that are taken in order until one fails, and the rest."""

    ready_up: list[Step] = Field(default_factory=list)
    tear_down: list[Step] = Field(default_factory=list)
    clean: list[Step] = Field(default_factory=list)
    #: Prints what is another after each boot; by that a reboot is known to be over.
    boot_id: Annotated[str, Field(min_length=1)] = "cat /proc/sys/kernel/random/boot_id"
    #: The machine is well if all of them succeed.
    check: list[Command] = Field(default_factory=list)
    #: So much must be free where the path lies.
    disk_free: dict[Annotated[str, AfterValidator(_absolute)], Size] = Field(default_factory=dict)
    temperature: TemperatureSection | None = None
    #: Whom holders log in as, with ephemeral access; else the user of `access`.
    lent_user: Annotated[Text, AfterValidator(_user)] = ""
    #: Where the keys of that user stand, seen from its home.
    authorized_keys: Annotated[Text, Field(min_length=1), AfterValidator(_plain)] = (
        ".ssh/authorized_keys"
    )
    #: Programs on the manager.
    power: PowerSection | None = None
    #: A program on the manager whose input and output are the serial console.
    console: Program | None = None
