"""The way in to a cloud instance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import asyncssh

from hwprovisioner.resourcemanager.drivers._ec2_instance import Seen
from hwprovisioner.resourcemanager.drivers._ec2_options import Ec2Options
from hwprovisioner.resourcemanager.drivers._guest_ssh import speaks_ssh
from hwprovisioner.resourcemanager.drivers._ssh_commands import run_script
from hwprovisioner.resourcemanager.drivers._ssh_login import ANY_KEY, connected
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import Access

#: $1 the key. Adds it once.
_LET_IN = (
    'umask 077; mkdir -p ~/.ssh; grep -qxF -e "$1" ~/.ssh/authorized_keys 2>/dev/null ||'
    ' printf "%s\\n" "$1" >> ~/.ssh/authorized_keys'
)


@dataclass(frozen=True, slots=True)
class Door:
    """Where and as whom one logs in."""

    host: str
    user: str
    login_key_file: str
    port: int

    async def trouble(self) -> str:
        """Say why there is no SSH yet, empty if there is."""
        return "" if await speaks_ssh(self.host, self.port) else f"{self.host} does not answer"


def door_of(seen: Seen, options: Ec2Options, user: str) -> Door:
    """Return the way in to an instance that runs.

    Raises:
        DriverError: It has no address of the sort that the options say.
    """
    key = "PublicIpAddress" if options.address == "public" else "PrivateIpAddress"
    address = str(seen.get(key) or "")
    if not address:
        advice = "does its subnet give one?"
        raise DriverError(f"the instance has no {options.address} address: {advice}")
    return Door(address, user, options.login_key_file, options.port)


async def let_in(door: Door, public_key: str) -> None:
    """Let a holder's key in, as the manager.

    Raises:
        DriverError: It did not work, or there is no key.
    """
    if not public_key:
        raise DriverError("the holder sent no public key, so they cannot be let in")
    # Whose key it is cannot be known beforehand.
    access = Access(door.host, door.user, door.port, door.login_key_file, host_key=ANY_KEY)
    async with connected(access) as connection:
        await run_script(connection, _LET_IN, public_key)


def public_key_of(file: str) -> str:
    """Return the public half of a private key.

    Raises:
        DriverError: It cannot be read.
    """
    try:
        key = asyncssh.read_private_key(Path(file).expanduser())
    except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        raise DriverError(f"key file {file} cannot be used: {words}") from error
    return key.export_public_key().decode().strip()
