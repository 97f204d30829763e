"""Calls that are sent again while the lab is away, for a limited time; all of them may repeat."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from hwprovisioner.client.backoff import Backoff
from hwprovisioner.client.clock import Time
from hwprovisioner.client.failures import from_rpc, is_worth_retrying
from hwprovisioner.client.our_grpc import grpc
from hwprovisioner.client.settings import Settings

Answer = TypeVar("Answer")


async def call_again(
    send: Callable[[float], Awaitable[Answer]], settings: Settings, time: Time
) -> Answer:
    """Sends a unary call until it is answered.

    Args:
        send: Sends it with this deadline in seconds.
        settings: The limits, and the address for the message.
        time: The clock.

    Raises:
        LabError: It was refused, or the lab stayed away.
    """
    backoff = Backoff(limit_s=settings.contact_limit_s, time=time)
    while True:
        try:
            return await send(settings.rpc_timeout_s)
        except grpc.aio.AioRpcError as error:
            if not is_worth_retrying(error) or backoff.spent:
                raise from_rpc(error, settings.allocate_address) from None
        await backoff.wait()


async def stream_again(
    start: Callable[[], AsyncIterator[Answer]], settings: Settings, time: Time
) -> AsyncIterator[Answer]:
    """Starts a stream, again when it is lost.

    Raises:
        LabError: It was refused, or stayed lost.
    """
    backoff = Backoff(limit_s=settings.contact_limit_s, time=time)
    while True:
        was_there, lost = False, None
        try:
            async for answer in start():
                was_there = True
                yield answer
        except grpc.aio.AioRpcError as error:
            lost = error
        if was_there:
            # It may have had nothing to say for long: it is away since now.
            backoff.reset()
        if lost is not None and (not is_worth_retrying(lost) or backoff.spent):
            raise from_rpc(lost, settings.allocate_address) from None
        await backoff.wait()
