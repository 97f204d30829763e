"""The parts of the lab: what each is, what a test demands to get it, what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: Puts what was started into an entry of resources.yml.
Fill = Callable[[dict[str, Any]], None]


class Missing(Exception):
    """This machine lacks what a part needs; the message says what."""


@dataclass(frozen=True, slots=True)
class Part:
    """One resource of the lab; its name is also its host's in the demand."""

    name: str
    what: str
    demand: Mapping[str, object]
    #: Empty: no command can be run on it, and `why_not` says why.
    command: str = "uname -n"
    why_not: str = ""


PARTS = (
    Part("vm", "a virtual machine by QEMU", {"kind": "vm", "cpus": 1}, "uname -nr"),
    Part("container", "a container by a Docker engine", {"kind": "container", "cpus": 1}),
    Part("server", "a server by SSH", {"kind": "physical", "labels": ["rack=a1"]}),
    Part(
        "cloud",
        "a cloud instance by an EC2 API",
        {"kind": "cloud", "cpus": 2},
        "",
        "moto serves the API of EC2 without machines behind it, so there is nothing to log in to",
    ),
    Part("board", "an edge device by a script", {"kind": "edge"}),
    Part("here", "this machine itself", {"labels": ["here"]}),
)
