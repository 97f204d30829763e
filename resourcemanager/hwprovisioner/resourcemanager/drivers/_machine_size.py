"""How large virtual machines are, and what they may be called."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hwprovisioner.resourcemanager.model import Instance, Resource, Share
from hwprovisioner.serving.problems import Path

#: A name of the lab's, and of a folder or domain.
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")
#: With less no kernel starts.
_LEAST_MEMORY = 16 * 1024**2


def size_problems(resource: Resource) -> Iterator[tuple[Path, str]]:
    """Yield what is not said of the size of machines."""
    declared, division = resource.declared, resource.division
    limits: Path = () if division is None else ("limits",)
    needed = {(*limits, "cpu"): declared.cpus, (*limits, "mem"): declared.memory_bytes}
    if division is not None:
        needed["default", "cpu"] = division.default_cpus
        needed["default", "mem"] = division.default_memory_bytes
    for path, value in needed.items():
        if not value:
            words = "a virtual machine has to have some"
            yield path, f"is needed by driver {resource.driver}: {words}"


def share_of(resource: Resource, instance: Instance) -> Share:
    """Return what a machine has; an exclusive resource is had whole."""
    declared, asked = resource.declared, instance.share
    return Share(
        asked.cpus or declared.cpus or 1,
        max(asked.memory_bytes or declared.memory_bytes or 0, _LEAST_MEMORY),
    )
