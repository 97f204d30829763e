"""Logging in to machines by SSH, as the resources file says and no other way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path as FilePath
from typing import Any

import asyncssh

from hwprovisioner.resourcemanager.errors import DriverError, system_words
from hwprovisioner.resourcemanager.model import Access

# It tells each command at INFO, with whatever secret stands in it, at each check of each machine.
logging.getLogger("asyncssh").setLevel(logging.WARNING)

#: Without an answer to so many keepalives in a row, so many seconds apart, the machine is gone.
_KEEPALIVES = 3
_KEEPALIVE_S = 10
#: How long a machine may take to answer and to let in.
_CONNECT_S = 15
#: How long logging out may take.
_FAREWELL_S = 2
#: The word for no check of the host key at all.
ANY_KEY = "any"


class OutOfReach(DriverError):
    """Nothing can be done on a machine: it does not let us in, or nobody out."""


@asynccontextmanager
async def connected(access: Access) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Log in, and out at the end.

    Raises:
        OutOfReach: The machine cannot be reached, is not the right one, or does not let us in.
        DriverError: The key file cannot be used.
    """
    connection = await connect(access)
    try:
        yield connection
    finally:
        connection.close()
        # What was said last, such as a signal, should arrive; but the machine may be gone.
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await connection.wait_closed()
        except TimeoutError:
            connection.abort()


async def connect(access: Access) -> asyncssh.SSHClientConnection:
    """Log in; closing it logs out.

    Raises:
        OutOfReach, DriverError: As in `connected`.
    """
    try:
        async with asyncio.timeout(_CONNECT_S):
            return await asyncssh.connect(access.host, access.port or 22, **_settings(access))
    except (OSError, asyncssh.Error) as error:
        raise OutOfReach(_why_not(access, error)) from error


def _why_not(access: Access, error: OSError | asyncssh.Error) -> str:
    """Return why a machine could not be logged in to, for the person who can change that."""
    port = access.port or 22
    where = f"{access.host}:{port}"
    match error:
        case TimeoutError():
            return f"{where} did not let us in within {_CONNECT_S} s"
        case asyncssh.HostKeyNotVerifiable():
            advice = f"`ssh-keyscan -p {port} {access.host}` prints it for access.host_key"
            return f"the host key of {where} is not trusted ({error}); {advice}"
        case asyncssh.PermissionDenied():
            key = f" with {access.key_file}" if access.key_file else ""
            return f"{where} does not let {access.user or 'us'}{key} in: {error.reason}"
        case OSError():
            return f"{where} cannot be reached: {system_words(error)}"
        case _:
            return f"no SSH with {where}: {error.reason or error}"


def _settings(access: Access) -> dict[str, Any]:
    """Return what asyncssh is to use: what the resources file says and nothing else."""
    settings: dict[str, Any] = {
        "config": None,
        "keepalive_interval": _KEEPALIVE_S,
        "keepalive_count_max": _KEEPALIVES,
    }
    if access.user:
        settings["username"] = access.user
    if access.key_file:
        settings["client_keys"] = [_private_key(access.key_file)]
        settings["agent_path"] = None
    if access.host_key == ANY_KEY:
        settings["known_hosts"] = None
    elif access.host_key:
        settings["known_hosts"] = (pinned(access.host_key), [], [])
    elif access.known_hosts:
        settings["known_hosts"] = str(FilePath(access.known_hosts).expanduser())
    return settings


def _private_key(file: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.read_private_key(FilePath(file).expanduser())
    except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        raise DriverError(f"key file {file} cannot be used: {words}") from error


def pinned(text: str) -> list[asyncssh.SSHKey]:
    """Return public keys, one a line, each with or without a host as ssh-keyscan prints it."""
    keys = []
    for line in text.splitlines():
        words = line.split()
        if words and not words[0].startswith("#"):
            start = 0 if "-" in words[0] and len(words) > 1 and words[1].startswith("AAAA") else 1
            keys.append(asyncssh.import_public_key(" ".join(words[start:])))
    if not keys:
        raise asyncssh.KeyImportError("there is no key in it")
    return keys
