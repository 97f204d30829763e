"""Where the services are to listen: what options and environment say, made sure of."""

from collections.abc import Mapping
from dataclasses import dataclass

from . import ports
from .errors import BadInput

DEFAULT_PORTS: Mapping[str, int] = {"allocate": 8080, "heartbeat": 7080, "manager": 9080}
#: Where each is told its port.
PORT_NAMES: Mapping[str, str] = {
    "allocate": "HWP_ALLOCATE_PORT",
    "heartbeat": "HWP_HEARTBEAT_PORT",
    "manager": "HWP_MANAGER_PORT",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service listens."""

    bind: str
    port: int

    @property
    def address(self) -> str:
        """Where it listens, as it is shown."""
        return ports.show(self.bind, self.port)

    @property
    def reachable(self) -> str:
        """Where this machine reaches it."""
        return ports.reachable(self.bind, self.port)


def settle(
    names: list[str], options: Mapping[str, int], environ: Mapping[str, str]
) -> dict[str, Place]:
    """Return where each of the named services is to listen.

    Args:
        names: of the services.
        options: ports that the command line says; 0 for any that is free.
        environ: says the others, or has the defaults stand.

    Raises:
        BadInput: a port is none, or two services have the same.
        PortInUse: somebody else listens there.
    """
    bind = environ.get("HWP_BIND", "").strip() or "127.0.0.1"
    wanted = {name: _wanted(name, options, environ) for name in names}
    _refuse_twins(wanted)
    # The given ones first, so that a free one is not one of them.
    given_first = sorted(names, key=lambda name: not wanted[name])
    settled = {
        name: ports.settle(name, bind, wanted[name], f"--port-{name}") for name in given_first
    }
    return {name: Place(bind, settled[name]) for name in names}


def _wanted(name: str, options: Mapping[str, int], environ: Mapping[str, str]) -> int:
    if name in options:
        return options[name]
    text = environ.get(PORT_NAMES[name], "").strip() or str(DEFAULT_PORTS[name])
    if not text.isdecimal() or int(text) > 65535:
        raise BadInput(f"{PORT_NAMES[name]}={text}: is not a port from 0 to 65535")
    return int(text)


def _refuse_twins(wanted: Mapping[str, int]) -> None:
    taken: dict[int, str] = {}
    for name, port in wanted.items():
        if port and port in taken:
            raise BadInput(f"{taken[port]} and {name} cannot both have port {port}: --port-{name}")
        taken[port] = name
