"""Asking Redis Sentinel which server is the master now."""

import asyncio
from collections.abc import Callable

from hwprovisioner.state.address import Address
from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.resp import CommandRefused, Connection, packed

ASK_LIMIT_S = 1.0
"""A sentinel that has not answered by then is passed over."""


async def find_master(address: Address) -> tuple[str, int]:
    """Ask the sentinels of an address one after the other, and return the first answer.

    Raises:
        StateUnavailable: none of them says; why, for each.
    """
    faults = []
    for host, port in address.sentinels:
        try:
            async with asyncio.timeout(ASK_LIMIT_S):
                found = await _ask(address, host, port)
        except TimeoutError:
            faults.append(f"{host}:{port} does not answer")
        except (OSError, CommandRefused, StateUnavailable) as error:
            faults.append(f"{host}:{port}: {error}")
        else:
            if found:
                return found
            faults.append(f"{host}:{port} does not know it")
    raise StateUnavailable(f"no sentinel names the master {address.master}: {'; '.join(faults)}")


async def _ask(address: Address, host: str, port: int) -> tuple[str, int] | None:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(_protocol(), host, port, ssl=address.tls_context())
    try:
        if address.sentinel_password:
            await connection.send(packed("AUTH", address.sentinel_password))
        command = packed("SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.master)
        found = await connection.send(command)
    finally:
        connection.cut("the sentinel was asked")
    return (str(found[0]), int(found[1])) if found else None


def _protocol() -> Callable[[], Connection]:
    return lambda: Connection(ASK_LIMIT_S, lambda connection, reason: None)
