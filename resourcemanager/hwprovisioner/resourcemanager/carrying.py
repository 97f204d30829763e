"""Carrying bytes between a host and the lab, over the manager's end of a channel."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

import grpc.aio

from hwprovisioner.resourcemanager.answers import said
from hwprovisioner.resourcemanager.driver import Reader, Writer
from hwprovisioner.v1 import allocate_service_pb2 as pb

#: So many bytes are sent at once, at most: as the contract says.
_CHUNK = 64 * 1024
#: How long the lab may take to hear why a channel is not there.
_FAREWELL_LIMIT_S = 10.0

T = TypeVar("T")
Call = grpc.aio.StreamStreamCall[pb.CarryChannelRequest, pb.CarryChannelResponse]


class _HostGone(Exception):
    """The host's end broke."""


async def carry_bytes(call: Call, reader: Reader, writer: Writer) -> None:
    """Carry bytes both ways until the lab ends the call.

    Raises:
        AioRpcError, InvalidStateError: The lab has gone.
    """
    saying = asyncio.Lock()  # one message at a time
    sending = asyncio.create_task(_from_host(call, saying, reader), name="from host")
    # To cancel a read would cancel the call, and what is still to be said.
    receiving = asyncio.create_task(_to_host(call, saying, writer), name="to host")
    pending = {sending, receiving}
    try:
        while receiving in pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        sending.cancel()
        receiving.cancel()
        await asyncio.gather(sending, receiving, return_exceptions=True)


async def farewell(call: Call) -> None:
    """Wait until the lab has heard why the channel is not there."""
    await call.done_writing()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_FAREWELL_LIMIT_S):
            while await call.read() is not grpc.aio.EOF:
                pass


def failure(error: Exception) -> pb.ChannelFailure:
    """Return an error as the lab is told of it."""
    reason = getattr(error, "reason", "DRIVER_FAILED")
    return pb.ChannelFailure(reason=reason, message=said(error))


async def _from_host(call: Call, saying: asyncio.Lock, reader: Reader) -> None:
    try:
        while data := await _of_host(_take(reader)):
            for start in range(0, len(data), _CHUNK):
                piece = pb.CarryChannelRequest(data=data[start : start + _CHUNK])
                await _say(call, saying, piece)
        await _say(call, saying, pb.CarryChannelRequest(end=True))
    except _HostGone as error:
        await _say(call, saying, pb.CarryChannelRequest(failure=failure(error)))


async def _to_host(call: Call, saying: asyncio.Lock, writer: Writer) -> None:
    is_there = True
    while isinstance(message := await call.read(), pb.CarryChannelResponse):
        if message.WhichOneof("event") == "end":
            # Not everything can be closed half.
            with contextlib.suppress(Exception):
                writer.write_eof()
        elif is_there:
            try:
                await _of_host(_give(writer, message.data))
            except _HostGone as error:
                is_there = False
                await _say(call, saying, pb.CarryChannelRequest(failure=failure(error)))


async def _say(call: Call, saying: asyncio.Lock, message: pb.CarryChannelRequest) -> None:
    async with saying:
        await call.write(message)


async def _take(reader: Reader) -> bytes:
    data = await reader.read(_CHUNK)
    if not isinstance(data, bytes | bytearray):
        raise TypeError(f"the driver read {type(data).__name__}, not bytes")
    return bytes(data)


async def _give(writer: Writer, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def _of_host(work: Coroutine[Any, Any, T]) -> T:
    try:
        return await work
    except Exception as error:  # a driver's own reader or writer may raise anything
        raise _HostGone(f"the connection to the host broke: {error}") from error
