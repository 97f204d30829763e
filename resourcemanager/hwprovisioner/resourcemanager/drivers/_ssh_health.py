"""Whether a machine that is reached by SSH is well enough to be lent."""

from __future__ import annotations

import asyncssh

from hwprovisioner.resourcemanager.drivers._ssh_commands import run, run_all, run_script
from hwprovisioner.resourcemanager.drivers._ssh_options import SshOptions, TemperatureSection
from hwprovisioner.resourcemanager.errors import DriverError

#: In KiB, as POSIX has it.
_DISK_FREE = r"""df -Pk -- "$1" | awk 'NR == 2 { print $4 }'"""
_KIB = 1024
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


async def check(connection: asyncssh.SSHClientConnection, options: SshOptions) -> None:
    """Return if a machine is well.

    Raises:
        DriverError: It is not, and why.
    """
    for path, least in options.disk_free.items():
        await _check_disk(connection, path, least)
    if options.temperature is not None:
        await _check_temperature(connection, options.temperature)
    await run_all(connection, options.check, _unheard)


async def _check_disk(connection: asyncssh.SSHClientConnection, path: str, least: int) -> None:
    said = (await run_script(connection, _DISK_FREE, path)).strip()
    if not said.isdecimal():
        raise DriverError(f"how much is free at {path} cannot be found out")
    free = int(said) * _KIB
    if free < least:
        raise DriverError(f"{_size(free)} are free at {path}, {_size(least)} are needed")


async def _check_temperature(
    connection: asyncssh.SSHClientConnection, wanted: TemperatureSection
) -> None:
    last = (await run(connection, wanted.run, _unheard)).split()
    try:
        degrees = float(last[-1])
    except (ValueError, IndexError):
        raise DriverError("its temperature cannot be read: the command prints no number") from None
    # A number that is none is not below anything.
    if not degrees < wanted.below:
        raise DriverError(f"it is too hot: {degrees:g} degrees, below {wanted.below:g} are needed")


def _size(size: float) -> str:
    for unit in _UNITS:
        if size < _KIB or unit == _UNITS[-1]:
            break
        size /= _KIB
    return f"{size:.3g} {unit}"


def _unheard(line: str) -> None:
    """Nobody waits for a check."""
