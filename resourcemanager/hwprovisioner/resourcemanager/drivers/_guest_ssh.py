"""SSH with a machine that was made just now: waits until it lets in, and lets its holder in."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

import asyncssh

from hwprovisioner.resourcemanager.errors import DriverError

#: How long a machine may take to say that it speaks SSH, and then to let in. What is sent to a
#: machine without a network yet is lost, so it is better asked anew than waited for.
_BANNER_S = 2.0
_LOGIN_S = 30.0

#: Its input is the key. Adds it once.
_LET_IN = (
    "umask 077; IFS= read -r key; mkdir -p ~/.ssh; touch ~/.ssh/authorized_keys;"
    ' grep -qxF -e "$key" ~/.ssh/authorized_keys || printf "%s\\n" "$key" >> ~/.ssh/authorized_keys'
)


@dataclass(frozen=True, slots=True)
class Door:
    """Where and how to log in to a machine as its maker."""

    address: str
    port: int
    user: str
    #: In OpenSSH's form; empty is nobody's: then it is only seen whether somebody answers.
    private_key: str
    #: The machine's, in the same form; empty is not known, so any is taken.
    host_key: str


def new_key() -> tuple[str, str]:
    """Return a new private key and its public one, both in OpenSSH's form."""
    key = asyncssh.generate_private_key("ssh-ed25519", comment="hwprovisioner")
    return key.export_private_key().decode(), key.export_public_key().decode().strip()


async def _speaks_ssh(address: str, port: int) -> bool:
    """Say whether there is SSH at an address by now."""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_BANNER_S):
            reader, writer = await asyncio.open_connection(address, port)
            try:
                return (await reader.read(4)).startswith(b"SSH-")
            finally:
                writer.close()
    return False


async def try_door(door: Door, public_key: str = "") -> str:
    """Log in as its maker, let somebody else's key in, too, if one is given, and log out.

    Return "" if that worked, else why not; it may work later.

    Raises:
        DriverError: The machine let us in, but not the key.
    """
    if not await _speaks_ssh(door.address, door.port):
        return "no answer"
    if not door.private_key:
        return ""
    trusted = [asyncssh.import_public_key(door.host_key)] if door.host_key else None
    try:
        async with (
            asyncio.timeout(_LOGIN_S),
            asyncssh.connect(
                door.address,
                door.port,
                username=door.user,
                client_keys=[asyncssh.import_private_key(door.private_key)],
                agent_path=None,
                known_hosts=None if trusted is None else (trusted, [], []),
                config=None,
            ) as connection,
        ):
            if public_key:
                await _let_in(connection, public_key)
    except TimeoutError:
        return f"no login within {_LOGIN_S:g} s"
    except asyncssh.HostKeyNotVerifiable:
        return "it has not taken its host key from the seed"
    except asyncssh.PermissionDenied:
        return f"{door.user} is not let in"
    except (OSError, asyncssh.Error) as error:
        return str(error) or type(error).__name__
    return ""


async def _let_in(connection: asyncssh.SSHClientConnection, public_key: str) -> None:
    done = await connection.run(_LET_IN, input=public_key + "\n")
    if done.exit_status != 0:
        said = str(done.stderr or "").strip()[-200:]
        raise DriverError(f"the holder's public key could not be put into the machine: {said}")
