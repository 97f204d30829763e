"""The services as programs: what each is told through its environment."""

import re
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
#: Redis and the ports are told to whom they concern; aliases of what is set here would contradict
#: it; and services refuse settings they do not know, such as those of a surrounding `hwp run`.
_FOREIGN = re.compile(
    r"REDIS_.*|HWP_REDIS_URL|HWP_(ALLOCATE|HEARTBEAT|MANAGER)_PORT"
    r"|HWP_(ALLOCATE_API|CONFIG_FILE|JOURNAL|ALLOCATION_ID|TOKEN|HOST|HOSTS|HOST_.*)"
)


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
    """Return an environment without what only some services are told, and what is not for them."""
    return {name: value for name, value in environ.items() if not _FOREIGN.fullmatch(name)}
