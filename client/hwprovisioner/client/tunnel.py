"""Bytes to a host and back, through the lab: no other way to the host is needed."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Self

from hwprovisioner.client.errors import LabError
from hwprovisioner.client.failures import from_rpc
from hwprovisioner.client.our_grpc import grpc
from hwprovisioner.v1 import allocate_service_pb2 as pb

if TYPE_CHECKING:
    Call = grpc.aio.StreamStreamCall[pb.ConnectRequest, pb.ConnectResponse]

CHUNK = 64 * 1024
"""So many bytes are sent at once, at most."""
_AHEAD = 8
"""So many messages are read ahead of whoever reads the tunnel."""


class Tunnel:
    """An open channel to a host. Used as a block: it is closed at its end."""

    def __init__(self, call: Call, address: str) -> None:
        """Takes over a call that the lab has said is open.

        Args:
            call: Its only user from now on.
            address: Where the call went, for messages.
        """
        self._call = call
        self._address = address
        self._incoming: asyncio.Queue[bytes | LabError] = asyncio.Queue(_AHEAD)
        self._error: LabError | None = None
        self._has_ended = False
        # Apart from `read`, since to cancel the reading of a call is to cancel the call.
        self._receiving = asyncio.create_task(self._receive(), name="hwp-tunnel")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def read(self) -> bytes:
        """Waits for more bytes; none at the end. May be cancelled without losing any.

        Raises:
            LabError: The channel broke; `LeaseLost` if the host is no longer the holder's.
        """
        if self._has_ended:
            return b""
        found = await self._incoming.get()
        if isinstance(found, LabError):
            self._error = found
            self._incoming.put_nowait(found)  # whoever reads again is told again
            raise found
        self._has_ended = not found
        return found

    async def write(self, data: bytes) -> None:
        """Sends bytes; waits while the other end does not take them.

        Raises:
            LabError: The channel broke.
        """
        for start in range(0, len(data), CHUNK):
            await self._say(pb.ConnectRequest(data=data[start : start + CHUNK]))

    async def write_eof(self) -> None:
        """Says that nothing more is sent; what comes from the host still does.

        Raises:
            LabError: The channel broke.
        """
        await self._say(pb.ConnectRequest(end=True))

    async def close(self) -> None:
        """Closes both directions. Doing so twice changes nothing."""
        self._call.cancel()
        self._receiving.cancel()
        await asyncio.gather(self._receiving, return_exceptions=True)

    def cut(self, error: LabError) -> None:
        """Closes it at once; whoever reads or writes is told why."""
        self._error = error
        self._call.cancel()

    async def _say(self, message: pb.ConnectRequest) -> None:
        try:
            await self._call.write(message)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError, asyncio.CancelledError):
            if not self._call.done():
                raise  # the writer itself was cancelled
            raise await self._why() from None

    async def _why(self) -> LabError:
        """Gives what the call, which is over, ended with."""
        if self._error is None:
            with contextlib.suppress(asyncio.CancelledError):
                error = await _status(self._call)
                if error is not None:
                    return from_rpc(error, self._address)
        return self._error or LabError("the channel is closed", reason="CHANNEL_CLOSED")

    async def _receive(self) -> None:
        try:
            while isinstance(message := await self._call.read(), pb.ConnectResponse):
                if message.WhichOneof("event") == "end":
                    await self._incoming.put(b"")
                elif message.data:
                    await self._incoming.put(message.data)
            await self._incoming.put(b"")
        except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and self._error is None:
                raise
            await self._incoming.put(await self._why())


async def _status(call: Call) -> grpc.aio.AioRpcError | None:
    """Gives the error that a call which is over ended with, none if it ended well."""
    if (code := await call.code()) is grpc.StatusCode.OK:
        return None
    trailers = await call.trailing_metadata()
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, await call.details())
