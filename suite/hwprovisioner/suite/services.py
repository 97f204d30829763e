"""The services as programs: what each is told through its environment."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .child import Program
from .places import PORT_NAMES, Place
from .readiness import serving_at

#: The modules that are run. Tests put stand-ins in their place.
MODULES: Mapping[str, str] = {
    "allocate": "hwprovisioner.allocate",
    "heartbeat": "hwprovisioner.heartbeat",
    "manager": "hwprovisioner.resourcemanager",
}
#: Other names of what is set here; they would contradict it.
_ALIASES = ("HWP_ALLOCATE_API", "HWP_CONFIG_FILE", "HWP_JOURNAL")


@dataclass(frozen=True, slots=True)
class Services:
    """What all services are to be told.

    Attributes:
        places: where each listens, by name; a service that is not there is not run.
        redis: settings that name the lab's Redis.
        config: the resource manager's resources.yml.
        journal: the resource manager's.
        modules: what is run, by name.
    """

    places: Mapping[str, Place]
    redis: Mapping[str, str]
    config: Path
    journal: Path
    modules: Mapping[str, str]

    def program(self, name: str, environ: Mapping[str, str]) -> Program:
        """Return one of the services as a program, with `environ` below what it is told."""
        place = self.places[name]
        return Program(
            name=name,
            command=(sys.executable, "-m", self.modules[name]),
            environment={**_foreign(environ), **self._told(name)},
            missing=serving_at(place.reachable),
        )

    def _told(self, name: str) -> dict[str, str]:
        place = self.places[name]
        told = {
            "PYTHONUNBUFFERED": "1",
            "HWP_BIND": place.bind,
            PORT_NAMES[name]: str(place.port),
        }
        if name != "manager":
            return told | dict(self.redis)
        return told | {
            "ALLOCATE_API": self.places["allocate"].reachable,
            "CONFIG_FILE": str(self.config),
            "HWP_JOURNAL": str(self.journal),
        }


def _foreign(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what only some services are told."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith("REDIS_")
        and name != "HWP_REDIS_URL"
        and name not in PORT_NAMES.values()
        and name not in _ALIASES
    }
