"""The way in to a cloud instance."""

from __future__ import annotations

from pathlib import Path

import asyncssh

from hwprovisioner.resourcemanager.drivers._ec2_instance import Seen
from hwprovisioner.resourcemanager.drivers._ec2_options import Ec2Options
from hwprovisioner.resourcemanager.drivers._guest_ssh import Door
from hwprovisioner.resourcemanager.errors import DriverError


def door_of(seen: Seen, options: Ec2Options, user: str) -> Door:
    """Return the way in to an instance that runs: for its manager, if that has a key of its own.

    Raises:
        DriverError: It has no address of the sort that the options say, or the key cannot be read.
    """
    kind = "PublicIpAddress" if options.address == "public" else "PrivateIpAddress"
    address = str(seen.get(kind) or "")
    if not address:
        advice = "does its subnet give one?"
        raise DriverError(f"the instance has no {options.address} address: {advice}")
    file = options.login_key_file
    private_key = _login_key(file).export_private_key().decode() if file else ""
    # Its host key cannot be known beforehand.
    return Door(address, options.port, user, private_key, host_key="")


def public_key_of(file: str) -> str:
    """Return the public half of a private key.

    Raises:
        DriverError: It cannot be read.
    """
    return _login_key(file).export_public_key().decode().strip()


def _login_key(file: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.read_private_key(Path(file).expanduser())
    except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        raise DriverError(f"key file {file} cannot be used: {words}") from error
