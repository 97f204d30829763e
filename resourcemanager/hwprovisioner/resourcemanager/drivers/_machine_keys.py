"""The keys to a virtual machine: in a folder of its own, where managers to come find them."""

from __future__ import annotations

from pathlib import Path

from hwprovisioner.resourcemanager.drivers import _guest_ssh, _seed
from hwprovisioner.resourcemanager.errors import DriverError

#: What its maker logs in with, and how the machine proves who it is.
_KEY, _HOST_KEY = "key", "host_key.pub"


def new_seed(folder: Path, user: str) -> bytes:
    """Make keys to the machine that a folder is named after; return the seed that tells it them."""
    private_key, public_key = _guest_ssh.new_key()
    host_private, host_public = _guest_ssh.new_key()
    (folder / _KEY).write_text(private_key)
    (folder / _HOST_KEY).write_text(host_public)
    return _seed.seed(_seed.Guest(folder.name, user, (public_key,), host_private, host_public))


def door(folder: Path, address: str, port: int, user: str) -> _guest_ssh.Door:
    """Return the way in to a machine, for its maker.

    Raises:
        DriverError: Its keys are not there.
    """
    try:
        private_key = (folder / _KEY).read_text()
        host_key = (folder / _HOST_KEY).read_text().strip()
    except OSError as error:
        raise DriverError(f"the keys to {folder.name} are not here: {error.strerror}") from error
    return _guest_ssh.Door(address, port, user, private_key, host_key)
