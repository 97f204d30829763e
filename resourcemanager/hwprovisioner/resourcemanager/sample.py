"""What a warm pool is to have, and whom it can serve. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from hwprovisioner.resourcemanager.model import Instance, OperatingSystem, Resource


def sample(resource: Resource, name: str = "") -> Instance | None:
    """Return what each instance of a resource's pool is; `None` if it has no pool."""
    pool = resource.pool
    if pool is None:
        return None
    return Instance(name, pool.share, pool.image, disk_bytes=pool.disk_bytes)


def stands_in(resource: Resource, pooled: Instance, asked: Instance) -> bool:
    """Say whether a pooled instance is what is asked for."""
    # The system that it has anyway need not be made.
    system = OperatingSystem() if not asked.image and _has(resource, asked.os) else asked.os
    alike = replace(asked, name=pooled.name, os=system, disk_bytes=pooled.disk_bytes)
    return alike == pooled and asked.disk_bytes <= pooled.disk_bytes


def made_by(resource: Resource) -> str:
    """Return what differs when a resource's instances would be made otherwise than before."""
    how = (resource.kind, resource.driver, resource.access, resource.options)
    return hashlib.sha256(repr(how).encode()).hexdigest()[:16]


def _has(resource: Resource, asked: OperatingSystem) -> bool:
    has = resource.declared.os or OperatingSystem()
    pairs = (
        (asked.family, has.family),
        (asked.distro, has.distro),
        (asked.version, has.version),
    )
    return all(word in ("", own) for word, own in pairs)
