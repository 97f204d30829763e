"""Ways into a machine's network, which is known only to its QEMU."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Iterator

from hwprovisioner.resourcemanager.drivers._qemu_command import GUEST, NETWORK
from hwprovisioner.resourcemanager.drivers._qemu_process import Machine
from hwprovisioner.resourcemanager.drivers._qmp import Qmp
from hwprovisioner.resourcemanager.errors import DriverError

_HOST = "127.0.0.1"
_LOOK_S = 0.02
#: Another program may take a port that was free a moment ago.
_TRIES = 3

#: A line of `info usernet`: state, then the host's side and the guest's.
_LINE = re.compile(r"TCP\[(\w+)\]\s+\S+\s+\S+\s+(\d+)\s+\S+\s+(\d+)")


async def forwarded(machine: Machine, port: int) -> int:
    """Return the port of this host that leads to a port of the guest since the start.

    Raises:
        DriverError: There is none, or QEMU does not answer.
    """
    async with machine.monitor() as monitor:
        for state, host, guest in _connections(await monitor.human("info usernet")):
            if state == "HOST_FORWARD" and guest == port:
                return host
    raise DriverError(f"QEMU forwards nothing to port {port} of {machine.folder.name}")


async def dial(machine: Machine, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a port of the guest, by a forward that is there for just this connection.

    Raises:
        DriverError: Nothing listens there, or the machine does not run.
    """
    async with machine.monitor() as monitor:
        host = await _forward(monitor, port)
        try:
            connection = await _connect(monitor, host, port)
        finally:
            # What is connected stays.
            await monitor.human(f"hostfwd_remove {NETWORK} tcp:{_HOST}:{host}")
    return await asyncio.open_connection(sock=connection)


async def _forward(monitor: Qmp, port: int) -> int:
    said = ""
    for _ in range(_TRIES):
        host = _free_port()
        said = await monitor.human(f"hostfwd_add {NETWORK} tcp:{_HOST}:{host}-{GUEST}:{port}")
        if not said.strip():
            return host
    raise DriverError(f"QEMU forwards nothing to port {port}: {said.strip()}")


async def _connect(monitor: Qmp, host: int, port: int) -> socket.socket:
    """Connect, and return when the guest has, too: QEMU takes any connection at first."""
    connection = socket.socket()
    connection.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(connection, (_HOST, host))
        while not await _is_through(monitor, host):
            if _is_refused(connection):
                raise DriverError(f"nothing listens on port {port} of the machine")
            await asyncio.sleep(_LOOK_S)
    except OSError as error:
        connection.close()
        raise DriverError(f"QEMU does not let us through to port {port}: {error}") from error
    except BaseException:
        connection.close()
        raise
    return connection


async def _is_through(monitor: Qmp, host: int) -> bool:
    return any(
        by == host and state not in ("HOST_FORWARD", "SYN_SENT")
        for state, by, _ in _connections(await monitor.human("info usernet"))
    )


def _is_refused(connection: socket.socket) -> bool:
    with contextlib.suppress(BlockingIOError):
        try:
            return not connection.recv(1, socket.MSG_PEEK)
        except ConnectionResetError:
            return True
    return False


def _connections(usernet: str) -> Iterator[tuple[str, int, int]]:
    for line in usernet.splitlines():
        if match := _LINE.search(line):
            yield match[1], int(match[2]), int(match[3])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
