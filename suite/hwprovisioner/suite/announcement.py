"""What `hwp up` says once everything is ready, to people and to scripts."""

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from .errors import BadInput
from .services import Services
from .state_folder import write_atomically

_TITLES = {
    "allocate": "allocate          ",
    "heartbeat": "heartbeat         ",
    "manager": "resource manager  ",
}
_DEFAULTS = {"allocate": "127.0.0.1:8080", "heartbeat": "127.0.0.1:7080"}
_NAMES = {"allocate": "ALLOCATE_API", "heartbeat": "HEARTBEAT_API"}


def lines(services: Services, state: str) -> Sequence[str]:
    """Return what is said to people: where everything is, and what to try next.

    Args:
        services: all that run.
        state: where the state is, in words.
    """
    reachable = {name: place.reachable for name, place in services.places.items()}
    settings = [
        f"{_NAMES[name]}={reachable[name]}"
        for name, default in _DEFAULTS.items()
        if reachable[name] != default
    ]
    return [
        f"state             {state}",
        *(
            f"{_TITLES[name]}{services.places[name].address}"
            for name in _TITLES
            if name in services.places
        ),
        "ready; Ctrl-C stops everything. Try, in another terminal:",
        *([f"  export {' '.join(settings)}"] if settings else []),
        "  hwp get resources",
        "  hwp run --cpus 1 -- echo hello",
        f"  grpcurl -plaintext {reachable['allocate']} list",
    ]


class PortsFile:
    """A JSON file with the addresses, there while everything is ready.

    ``{"allocate": "127.0.0.1:8080", "heartbeat": …, "manager": …, "pid": …, "redis": …}``;
    `redis` only with the embedded server, as another one's URL may hold a password.
    """

    def __init__(self, path: Path | None) -> None:
        """Removes what a former run may have left behind.

        Raises:
            BadInput: the file cannot be written there.
        """
        self._path = None if path is None else path.absolute()
        if self._path is None:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            raise BadInput(f"--write-ports {path}: {error.strerror}") from error
        if not os.access(self._path.parent, os.W_OK):
            raise BadInput(f"--write-ports {path}: its folder is not there or cannot be written")

    def write(self, services: Services, redis: str | None) -> None:
        """Write it, all at once."""
        if self._path is None:
            return
        content: dict[str, object] = {
            name: place.reachable for name, place in services.places.items()
        }
        content["pid"] = os.getpid()
        if redis is not None:
            content["redis"] = redis
        write_atomically(self._path, json.dumps(content) + "\n")

    def remove(self) -> None:
        """Remove it."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
