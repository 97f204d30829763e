"""What is put to the test: a driver and an entry for it."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

from hwprovisioner.resourcemanager.driver import Driver
from hwprovisioner.resourcemanager.model import Hold, Resource, Share

#: Nobody has the private half.
PUBLIC_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE/1zQUdefuN9eu+d/xGtubpxOiMKnBh43c3iW1kbu+7 conformance"
)
_SHARE_BYTES = 256 * 1024**2

#: Unique for ever, also over runs of which one died and left something.
_fences = itertools.count(int(time.time() * 1000))


@dataclass(frozen=True, slots=True)
class Subject:
    """A driver, what it is tried on, and how."""

    driver: type[Driver]
    resource: Resource
    #: An entry that cannot work, if there is one.
    broken: Resource | None = None
    #: What must appear in no log, beside what `secrets.py` finds.
    secrets: tuple[str, ...] = ()
    cancellations: int = 4

    def hold(self) -> Hold:
        """Return a hold that never was, as the lab would offer it."""
        fence = next(_fences)
        return Hold(
            id=f"{self.resource.name}.{fence}",
            resource=self.resource.name,
            fence=fence,
            share=self.share(),
            allocation_id="conformance",
            host="host",
            user="conformance",
            demand={"cpus": "1"},
            ssh_public_key=PUBLIC_KEY,
        )

    def share(self) -> Share:
        """Return all of an exclusive resource, and a small part of a dynamic one."""
        division, has = self.resource.division, self.resource.declared
        if division is None:
            gpus = tuple(range(len(has.gpus or ())))
            return Share(has.cpus or 0, has.memory_bytes or 0, gpus)
        cpus = min(division.default_cpus or 1, has.cpus or 1)
        memory = division.default_memory_bytes or _SHARE_BYTES
        return Share(cpus, min(memory, has.memory_bytes or memory))
