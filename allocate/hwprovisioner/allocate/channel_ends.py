"""Between the messages of a channel's two streams and what goes over the channel."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias, TypeVar

from hwprovisioner.allocate.relay import End, side_by_side
from hwprovisioner.allocate.switchboard import failure
from hwprovisioner.serving import Refused, bad_request
from hwprovisioner.state.channels import Piece, What
from hwprovisioner.v1 import allocate_service_pb2 as pb

MOST_BYTES = 64 * 1024
"""So many bytes are in one message at most."""
_FIRST_LIMIT_S = 10.0
"""How long the first message of a stream may take."""

T = TypeVar("T")
FromHolder: TypeAlias = "AsyncIterator[pb.ConnectRequest]"
ToHolder: TypeAlias = "Callable[[pb.ConnectResponse], Awaitable[None]]"
FromManager: TypeAlias = "AsyncIterator[pb.CarryChannelRequest]"
ToManager: TypeAlias = "Callable[[pb.CarryChannelResponse], Awaitable[None]]"


async def target_of(requests: FromHolder) -> pb.ChannelTarget:
    """Return what a holder's stream asks for; raises BAD_REQUEST."""
    first = await _first(requests)
    if first is None or first.WhichOneof("event") != "open":
        raise bad_request([("event", "the first message must be open")])
    target = first.open
    match target.WhichOneof("target"):
        case "port" if not 0 < target.port < 65536:
            raise bad_request([("open.port", f"is {target.port}, must be from 1 to 65535")])
        case "console" if not target.console:
            raise bad_request([("open.console", "must be true")])
        case None:
            raise bad_request([("open.target", "is missing: console or port")])
    return target


async def channel_of(requests: FromManager) -> pb.CarriedChannel:
    """Return which channel a manager's stream carries; raises BAD_REQUEST."""
    first = await _first(requests)
    if first is None or first.WhichOneof("event") != "channel":
        raise bad_request([("event", "the first message must be channel")])
    return first.channel


async def serve_holder(end: End, requests: FromHolder, write: ToHolder) -> None:
    """Carry bytes between a holder and a channel until both directions have ended.

    Raises:
        Refused: the manager says that the channel broke, or the holder breaks the protocol.
        Gone: the channel has.
    """
    await write(pb.ConnectResponse(opened=True))
    await side_by_side([_from_holder(end, requests), _to_holder(end, write)])


async def serve_manager(
    end: End, channel: pb.CarriedChannel, requests: FromManager, write: ToManager
) -> None:
    """Carry bytes between a manager and a channel until the holder's end closes that.

    Raises:
        Refused: the manager breaks the protocol.
        Gone: the channel has been closed; if nothing else, always.
    """
    if channel.HasField("failure"):
        await end.send(_failed(channel.failure))
        await _to_manager(end, write)
    else:
        await end.send(Piece(What.OPENED))
        await side_by_side([_from_manager(end, requests), _to_manager(end, write)])


async def until_opened(end: End) -> None:
    """Wait until the manager says that the host is reached.

    Raises:
        Refused: it cannot be.
        Gone: the channel has.
    """
    _check_no_failure(await end.receive())


async def _first(requests: AsyncIterator[T]) -> T | None:
    try:
        async with asyncio.timeout(_FIRST_LIMIT_S):
            return await anext(requests, None)
    except TimeoutError:
        return None


async def _from_holder(end: End, requests: FromHolder) -> None:
    async for request in requests:
        match request.WhichOneof("event"):
            case "data":
                await end.send(_data(request.data))
            case "end":
                break
            case _:
                raise bad_request([("event", "must be data or end once the channel is open")])
    await end.send(Piece(What.END))


async def _to_holder(end: End, write: ToHolder) -> None:
    # The channel is closed after this, so the manager must have everything, too.
    missing = {What.END, What.DONE}
    while missing:
        piece = await end.receive()
        _check_no_failure(piece)
        if piece.what is What.DATA:
            await write(pb.ConnectResponse(data=piece.data))
        elif piece.what is What.END:
            await write(pb.ConnectResponse(end=True))
        missing.discard(piece.what)


async def _from_manager(end: End, requests: FromManager) -> None:
    async for request in requests:
        match request.WhichOneof("event"):
            case "data":
                await end.send(_data(request.data))
            case "end":
                break
            case "failure":
                await end.send(_failed(request.failure))
                return
            case _:
                raise bad_request([("event", "must be data, end or failure after channel")])
    await end.send(Piece(What.END))


async def _to_manager(end: End, write: ToManager) -> None:
    while True:
        piece = await end.receive()
        if piece.what is What.DATA:
            await write(pb.CarryChannelResponse(data=piece.data))
        else:
            await write(pb.CarryChannelResponse(end=True))
            await end.send(Piece(What.DONE))


def _data(data: bytes) -> Piece:
    if len(data) > MOST_BYTES:
        raise bad_request([("data", f"has {len(data):,} bytes, at most {MOST_BYTES:,} are taken")])
    return Piece(What.DATA, data)


def _failed(said: pb.ChannelFailure) -> Piece:
    return Piece(What.FAILURE, json.dumps([said.reason, said.message]).encode())


def _check_no_failure(piece: Piece) -> None:
    if piece.what is What.FAILURE:
        reason, message = json.loads(piece.data)
        raise failure(reason, message)


def broke(host: str) -> Refused:
    """Return the refusal to go on with a channel whose other end has gone."""
    return Refused(
        "CHANNEL_LOST", f"the channel to host {host!r} broke: open another", metadata={"host": host}
    )
