"""A libvirt host: calls that do not block, and whose failures are words.

libvirt's own library waits in threads. A call that is cancelled is still seen through, for nobody
could say what it leaves; the time limits of libvirt's connections end one whose host is gone.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

import libvirt

from hwprovisioner.resourcemanager.errors import DriverError, Later

T = TypeVar("T")

#: One connection for each host, shared by threads; what a make-believe host has ends with it.
_connections: dict[str, libvirt.virConnect] = {}
_lock = threading.Lock()

# It would print every error, also those that are expected.
libvirt.registerErrorHandler(lambda context, error: None, None)


async def on_host(uri: str, call: Callable[[libvirt.virConnect], T]) -> T:
    """Call with a connection to a host, in a thread.

    Raises:
        Later: The host has no memory for it now.
        DriverError: The host cannot be reached, or refuses.
    """
    calling = asyncio.ensure_future(asyncio.to_thread(_call, uri, call))
    try:
        return await asyncio.shield(calling)
    except asyncio.CancelledError:
        await asyncio.wait([calling])
        if not calling.cancelled():
            calling.exception()  # seen
        raise


def is_missing(error: libvirt.libvirtError) -> bool:
    """Say whether a call failed because there is no such domain or volume."""
    return error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_NO_STORAGE_VOL)


def _call(uri: str, call: Callable[[libvirt.virConnect], T]) -> T:
    try:
        return call(_connected(uri))
    except libvirt.libvirtError as error:
        words = f"libvirt at {uri}: {error.get_error_message() or error}"
        failure = Later if "Cannot allocate memory" in words else DriverError
        raise failure(words) from error


def _connected(uri: str) -> libvirt.virConnect:
    with _lock:
        connection = _connections.get(uri)
        if connection is None or not connection.isAlive():
            connection = _connections[uri] = libvirt.open(uri)
        return connection
