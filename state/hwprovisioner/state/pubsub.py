"""Clients for Pub/Sub, which are redis-py's: they hear what may be missed, and commit nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel

from hwprovisioner.state.address import Address


@asynccontextmanager
async def pubsub_client(url: str) -> AsyncIterator[Redis]:
    """Have a client that decodes, for any address that `Address` takes, until the block ends."""
    async with AsyncExitStack() as stack:
        options: dict[str, Any] = {"decode_responses": True, "socket_timeout": 10}
        address = Address.from_url(url)
        if address.sentinels:
            found = _of_sentinels(address, options, stack)
        else:
            found = Redis.from_url(url, **options)
        stack.push_async_callback(found.aclose)
        yield found


def _of_sentinels(address: Address, options: dict[str, Any], stack: AsyncExitStack) -> Redis:
    if address.tls:
        options |= dict(address.tls_options) | {"ssl": True}
    asking = options | {"password": address.sentinel_password or None, "socket_timeout": 1}
    login = {"username": address.user or None, "password": address.password or None}
    new: Any = Sentinel
    sentinel = new(address.sentinels, sentinel_kwargs=asking)
    for each in sentinel.sentinels:
        stack.push_async_callback(each.aclose)
    found: Redis = sentinel.master_for(address.master, db=address.database, **login, **options)
    return found


def check_not_cancelled() -> None:
    """Go on with a cancellation that redis-py has kept for itself.

    It does when one comes while it connects, and then waits for messages for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
