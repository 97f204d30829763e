"""What a resources file may say of containers."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from hwprovisioner.resourcemanager.drivers._command import Command
from hwprovisioner.resourcemanager.schema import MOST_GPUS, Section, Text

#: As the lab takes them.
_MOST_IMAGES = 256
_SCHEMES = ("unix://", "tcp://", "http://", "https://")


Name = Annotated[Text, Field(min_length=1)]


def _address(value: str) -> str:
    if value and not value.startswith(_SCHEMES):
        raise ValueError(f"{value!r} should begin with one of {' '.join(_SCHEMES)}")
    return value


class DockerOptions(Section):
    """What stands under `options`."""

    #: The first is taken where the demand names none.
    images: Annotated[
        list[Annotated[Text, Field(min_length=1)]], Field(min_length=1, max_length=_MOST_IMAGES)
    ]
    #: Where the engine listens; empty is `DOCKER_HOST`, or the usual socket.
    engine: Annotated[Text, AfterValidator(_address)] = ""
    #: Where holders reach the engine, if elsewhere.
    engine_for_holders: Text = ""
    #: What runs in the container, as a list or as one line without a shell; else what the image
    #: says.
    command: Command | None = None
    #: A network that there is.
    network: Text = "bridge"
    environment: dict[str, Text] = Field(default_factory=dict)
    #: Who commands run as; else as the image says.
    user: Text = ""
    #: Gives the command a terminal, which is the console then.
    tty: bool = False
    #: The ids or numbers of the cards, in the order of the entry's `gpus`.
    gpu_devices: Annotated[list[Text], Field(max_length=MOST_GPUS)] = Field(default_factory=list)
