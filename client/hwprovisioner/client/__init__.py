"""The SDK of the lab: demand hardware, use it, give it back.

    with Lab().allocate(cpus=4) as hardware:
        hardware.host.run("make bench")

Names are loaded when they are first used, so that `except LeaseLost` alone costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwprovisioner.client.allocating import AsyncAllocating, AsyncHardware, AsyncHost
    from hwprovisioner.client.blocking import Lab
    from hwprovisioner.client.blocking_hardware import Allocating, Hardware, Host
    from hwprovisioner.client.blocking_reach import Console, Forward
    from hwprovisioner.client.booking import Booking
    from hwprovisioner.client.consoles import AsyncConsole
    from hwprovisioner.client.errors import (
        BadDemand,
        BookingConflict,
        CommandFailed,
        CommandTimeout,
        LabError,
        LabUnavailable,
        LeaseLost,
        NotAllowed,
        NotFound,
        OverQuota,
        PrepareFailed,
        RevisionForgotten,
        Unsatisfiable,
        Violation,
        WaitTimeout,
        WrongHost,
    )
    from hwprovisioner.client.facts import Connection, Gpu, Os
    from hwprovisioner.client.forwarding import AsyncForward
    from hwprovisioner.client.lab import AsyncLab
    from hwprovisioner.client.listing import Listing
    from hwprovisioner.client.running import Completed
    from hwprovisioner.client.settings import Settings
    from hwprovisioner.client.updates import Phase, Update

_HOME = {
    "allocating": ("AsyncAllocating", "AsyncHardware", "AsyncHost"),
    "blocking": ("Lab",),
    "blocking_hardware": ("Allocating", "Hardware", "Host"),
    "blocking_reach": ("Console", "Forward"),
    "booking": ("Booking",),
    "consoles": ("AsyncConsole",),
    "errors": (
        "BadDemand",
        "BookingConflict",
        "CommandFailed",
        "CommandTimeout",
        "LabError",
        "LabUnavailable",
        "LeaseLost",
        "NotAllowed",
        "NotFound",
        "OverQuota",
        "PrepareFailed",
        "RevisionForgotten",
        "Unsatisfiable",
        "Violation",
        "WaitTimeout",
        "WrongHost",
    ),
    "facts": ("Connection", "Gpu", "Os"),
    "forwarding": ("AsyncForward",),
    "lab": ("AsyncLab",),
    "listing": ("Listing",),
    "running": ("Completed",),
    "settings": ("Settings",),
    "updates": ("Phase", "Update"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "Allocating",
    "AsyncAllocating",
    "AsyncConsole",
    "AsyncForward",
    "AsyncHardware",
    "AsyncHost",
    "AsyncLab",
    "BadDemand",
    "Booking",
    "BookingConflict",
    "CommandFailed",
    "CommandTimeout",
    "Completed",
    "Connection",
    "Console",
    "Forward",
    "Gpu",
    "Hardware",
    "Host",
    "Lab",
    "LabError",
    "LabUnavailable",
    "LeaseLost",
    "Listing",
    "NotAllowed",
    "NotFound",
    "Os",
    "OverQuota",
    "Phase",
    "PrepareFailed",
    "RevisionForgotten",
    "Settings",
    "Unsatisfiable",
    "Update",
    "Violation",
    "WaitTimeout",
    "WrongHost",
]


def __getattr__(name: str) -> object:
    if (module := _MODULE_OF.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
