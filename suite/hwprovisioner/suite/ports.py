"""Where the services listen: ports that are free, or an error that says what to do."""

import errno
import socket

from .errors import PortInUse


def settle(service: str, bind: str, port: int, option: str) -> int:
    """Return a port that is free now: the given one, or any for 0.

    Raises:
        PortInUse: somebody else listens there, or nobody may.
    """
    address = show(bind, port)
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            bind, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # Connections of a service that has just stopped are no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
            free: int = probe.getsockname()[1]
            return free
    except OSError as error:
        why = "somebody else listens there" if error.errno == errno.EADDRINUSE else str(error)
        raise PortInUse(service, address, option, why) from error


def show(bind: str, port: int) -> str:
    """Return an address as it is written."""
    return f"[{bind}]:{port}" if ":" in bind else f"{bind}:{port}"


def reachable(bind: str, port: int) -> str:
    """Return the address under which this machine reaches what listens on `bind`."""
    return show({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind), port)  # noqa: S104
