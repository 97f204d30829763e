"""Finds drivers by their names."""

from __future__ import annotations

import functools
from importlib.metadata import EntryPoint, entry_points

from hwprovisioner.resourcemanager.driver import Driver
from hwprovisioner.resourcemanager.errors import DriverNotUsable
from hwprovisioner.serving.problems import suggest

#: Where packages say which drivers they have.
GROUP = "hwprovisioner.drivers"


@functools.cache
def known_drivers() -> dict[str, EntryPoint]:
    """Return every driver that an installed package names, imported or not."""
    return {point.name: point for point in entry_points(group=GROUP)}


@functools.cache
def load_driver(name: str) -> type[Driver]:
    """Import a driver.

    Raises:
        DriverNotUsable: No package names it, or it cannot be imported; says what to install.
    """
    point = known_drivers().get(name)
    if point is None:
        raise DriverNotUsable(name, f"no driver {name!r}{suggest(name, known_drivers())}")
    try:
        found = point.load()
    except ImportError as error:
        raise DriverNotUsable(name, _what_to_install(point, error)) from error
    except Exception as error:
        message = f"driver {name!r} ({point.value}) fails at import: {error!r}"
        raise DriverNotUsable(name, message) from error
    if not (isinstance(found, type) and issubclass(found, Driver)):
        raise DriverNotUsable(name, f"driver {name!r}: {point.value} is no subclass of Driver")
    return found


def _what_to_install(point: EntryPoint, error: ImportError) -> str:
    package = point.dist.name if point.dist is not None else ""
    extras = point.dist.metadata.get_all("Provides-Extra") or [] if point.dist is not None else []
    message = f"driver {point.name!r} cannot be imported: {error}"
    if point.name in extras:
        return f"{message}; install it with: pip install '{package}[{point.name}]'"
    return f"{message}; install what {package or point.value} needs"
