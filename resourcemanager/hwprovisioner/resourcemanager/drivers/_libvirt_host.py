"""A libvirt host: calls that do not block, and whose failures are words.

libvirt's own library waits in threads. A call that is cancelled is still seen through, for nobody
could say what it leaves; one whose host answers no more is ended by the connection's keepalives.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import libvirt

from hwprovisioner.resourcemanager.errors import DriverError, Later
from hwprovisioner.resourcemanager.threads import in_thread, seen_through

T = TypeVar("T")

#: Without an answer to so many keepalives in a row, so many seconds apart, a host is gone.
_KEEPALIVES = 3
_KEEPALIVE_S = 5
#: How long to wait while another call connects to the same host.
_CONNECT_S = 15.0


@dataclass(slots=True)
class _Host:
    """Connections to one host. What a make-believe host has ends with the last of them."""

    opening: threading.Lock = field(default_factory=threading.Lock)
    #: One call at a time has a connection: where several wait on one that a keepalive ends,
    #: libvirt's library leaves all but the first waiting, and may crash.
    free: list[libvirt.virConnect] = field(default_factory=list)


_hosts: dict[str, _Host] = {}

# It would print every error, also those that are expected.
libvirt.registerErrorHandler(lambda context, error: None, None)


def _run_events() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


# Keepalives and consoles come by its events. That has to be so before any connection is made.
libvirt.virEventRegisterDefaultImpl()
threading.Thread(target=_run_events, name="libvirt events", daemon=True).start()


async def on_host(uri: str, call: Callable[[libvirt.virConnect], T]) -> T:
    """Call with a connection to a host, in a thread.

    Raises:
        Later: The host has no memory for it now.
        DriverError: The host cannot be reached, or refuses.
    """
    return await seen_through(in_thread(_call, uri, call))


def is_missing(error: libvirt.libvirtError) -> bool:
    """Say whether a call failed because there is no such domain or volume."""
    return error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_NO_STORAGE_VOL)


def borrow(uri: str) -> libvirt.virConnect:
    """Return a connection to a host that nobody else uses until it is given back. It may block.

    Raises:
        DriverError: The host cannot be reached.
    """
    free = _hosts.setdefault(uri, _Host()).free
    # Several threads may take from it.
    with contextlib.suppress(IndexError):
        while True:
            connection = free.pop()
            if connection.isAlive():
                return connection
    return _connect(uri)


def give_back(uri: str, connection: libvirt.virConnect) -> None:
    """Keep a connection for whoever comes next: closing it would wait for the host."""
    if connection.isAlive():
        _hosts.setdefault(uri, _Host()).free.append(connection)


@contextlib.contextmanager
def failures_told(uri: str) -> Iterator[None]:
    """Raise what libvirt raises as what a driver may raise.

    Raises:
        Later: The host has no memory for it now.
        DriverError: Anything else.
    """
    try:
        yield
    except libvirt.libvirtError as error:
        words = f"libvirt at {uri}: {error.get_error_message() or error}"
        failure = Later if "Cannot allocate memory" in words else DriverError
        raise failure(words) from error


def _call(uri: str, call: Callable[[libvirt.virConnect], T]) -> T:
    with failures_told(uri):
        connection = borrow(uri)
        try:
            return call(connection)
        finally:
            give_back(uri, connection)


def _connect(uri: str) -> libvirt.virConnect:
    opening = _hosts.setdefault(uri, _Host()).opening
    # While one hangs, no more are begun.
    if not opening.acquire(timeout=_CONNECT_S):
        raise DriverError(f"libvirt at {uri} does not answer; does `virsh -c '{uri}' list`?")
    try:
        connection = libvirt.open(uri)
    except libvirt.libvirtError as error:
        words = f"libvirt at {uri}: {error.get_error_message() or error}"
        raise DriverError(f"{words}; does `virsh -c '{uri}' list` work here?") from error
    finally:
        opening.release()
    # A make-believe host has none.
    with contextlib.suppress(libvirt.libvirtError):
        connection.setKeepAlive(_KEEPALIVE_S, _KEEPALIVES)
    return connection
