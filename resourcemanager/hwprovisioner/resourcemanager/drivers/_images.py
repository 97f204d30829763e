"""Which of a resource's images an instance starts from."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import Instance, Makes, OperatingSystem


def makes(images: Mapping[str, OperatingSystem], disk_bytes: int) -> Makes:
    """Return what instances can be, by the images and what is in them."""
    return Makes(tuple(images), tuple(dict.fromkeys(images.values())), disk_bytes)


def choose(instance: Instance, images: Mapping[str, OperatingSystem]) -> str:
    """Return the name of the image that was asked for, or the first with the right system.

    Raises:
        DriverError: There is none.
    """
    asked = instance.os
    if instance.image:
        if instance.image not in images:
            raise DriverError(f"there is no image {instance.image!r}, but {', '.join(images)}")
        return instance.image
    for name, system in images.items():
        if _is_asked_for(system, asked):
            return name
    words = " ".join(filter(None, (asked.family, asked.distro, asked.version)))
    raise DriverError(f"no image has {words}; there are: {', '.join(images)}")


def _is_asked_for(system: OperatingSystem, asked: OperatingSystem) -> bool:
    return (
        asked.family.lower() in ("", system.family.lower())
        and asked.distro.lower() in ("", system.distro.lower())
        and (not asked.version or _admits(asked.version, system.version))
    )


def _admits(bounds: str, version: str) -> bool:
    """Say whether a version is within bounds that are written as in demands."""
    if not version:
        return False
    low, to, high = (word.strip() for word in bounds.partition(".."))
    if not to:
        sign, word = re.fullmatch(r"(>=|==|<=|)\s*(.*)", bounds.strip(), re.DOTALL).groups()  # type: ignore[union-attr]  # it matches anything
        low = "" if sign == "<=" else word
        high = "" if sign in (">=", "") else word
    parts, least, most = _parts(version), _parts(low), _parts(high)
    return parts >= least and (not most or parts[: len(most)] <= most)


def _parts(version: str) -> list[tuple[int, int, str]]:
    """Split a version so that lists compare as versions do: numbers by value, before words."""
    words = re.findall(r"\d+|[A-Za-z]+", version)
    return [(0, int(word), "") if word.isdecimal() else (1, 0, word.lower()) for word in words]
