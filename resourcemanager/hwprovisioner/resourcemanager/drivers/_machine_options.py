"""What a resources file may say of virtual machines, whoever runs them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from hwprovisioner.resourcemanager.model import OperatingSystem
from hwprovisioner.resourcemanager.schema import OsSection, Section, Size, Text, Word

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class Ready:
    """When a machine is up."""

    #: `ssh` when it lets us in, `console` when its serial console has said `text`, else at once.
    by: Literal["ssh", "console", "start"]
    text: str = ""


def _ready(value: object) -> object:
    match value:
        case "ssh":
            return Ready("ssh")
        case "start":
            return Ready("start")
        case {"console": str(text), **more} if text and not more:
            return Ready("console", text)
        case Ready():
            return value
    raise ValueError("should be `ssh`, `start`, or `{console: TEXT}` with a text to wait for")


def _user(name: str) -> str:
    if not _USER.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a user: a-z 0-9 _ -, with a letter or _ first")
    return name


class ImageSection(Section):
    """What a machine starts from."""

    #: A disk image, qcow2 or raw, that is never written.
    base: Text = ""
    kernel: Text = ""
    initrd: Text = ""
    append: Text = ""
    os: OsSection = OsSection()
    user: Annotated[str, AfterValidator(_user)] = "hwp"
    ready: Annotated[
        Ready,
        BeforeValidator(_ready),
        WithJsonSchema(
            {
                "oneOf": [
                    {"enum": ["ssh", "start"]},
                    {
                        "type": "object",
                        "properties": {"console": {"type": "string"}},
                        "required": ["console"],
                        "additionalProperties": False,
                    },
                ]
            }
        ),
    ] = Ready("ssh")

    @model_validator(mode="after")
    def _can_start(self) -> ImageSection:
        if not (self.base or self.kernel):
            raise ValueError("needs `base`, a disk image, or `kernel`")
        if (self.initrd or self.append) and not self.kernel:
            raise ValueError("has `initrd` or `append`, which need `kernel`")
        return self

    @property
    def system(self) -> OperatingSystem:
        """The operating system in it."""
        return OperatingSystem(self.os.family, self.os.distro, self.os.version)


class MachineOptions(Section):
    """What stands under `options` of each driver that makes them."""

    #: By name; the first is what a machine starts from if nothing is asked.
    images: Annotated[dict[Word, ImageSection], Field(min_length=1, max_length=64)]
    #: The largest disk that can be asked for.
    disk_limit: Size | None = None
