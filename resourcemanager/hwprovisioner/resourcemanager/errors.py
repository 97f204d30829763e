"""The errors of a resource manager.

ManagerError
├── ConfigError        resources.yml cannot be used; carries every problem found in it
├── DriverError        a driver could not do what it was asked, in its own words
│   └── Later          it cannot now, but may soon
├── DriverNotUsable    a driver cannot be loaded; says what to install
├── JournalError       the journal cannot be opened
└── RefusedByLab       the lab ended the stream for good
    ├── Superseded     a newer manager with the same id has registered
    └── BadRegistration   the registration is wrong; carries the violations
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from hwprovisioner.serving.problems import FaultyFile


def system_words(error: OSError) -> str:
    """Return why the system refused; asyncio's own words would only say what was tried."""
    # A name that is not known has a negative number.
    number = error.errno or 0
    return os.strerror(number) if number > 0 else error.strerror or str(error)


class ManagerError(Exception):
    """Whatever a resource manager tells a person about."""


class ConfigError(FaultyFile, ManagerError):
    """A resources file that cannot be used."""


class DriverError(ManagerError):
    """A driver could not do what it was asked. The message reaches whoever waits for the host."""


class Later(DriverError):
    """A driver cannot make anything now because a quota is used up: it is tried again later."""


class DriverNotUsable(ManagerError):
    """A driver is unknown, or could not be imported."""

    def __init__(self, driver: str, message: str) -> None:
        self.driver = driver
        super().__init__(message)


class JournalError(ManagerError):
    """The journal cannot be opened, or another manager has it."""


class RefusedByLab(ManagerError):
    """The lab ended the stream, and connecting again would not help."""


class Superseded(RefusedByLab):
    """Another manager has registered with the same id; the newest wins."""


class BadRegistration(RefusedByLab):
    """The lab does not take this registration."""

    def __init__(self, message: str, violations: Sequence[tuple[str, str]] = ()) -> None:
        self.violations = tuple(violations)
        lines = [message, *(f"  {field}: {why}" for field, why in self.violations)]
        super().__init__("\n".join(lines))
