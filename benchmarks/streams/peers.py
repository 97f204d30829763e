"""Managers and watchers with open streams, many on a connection. Measured is the server."""

import asyncio
import resource
import sys
import time
from typing import Any

import grpc.aio
import uvloop

from benchmarks.frame.talking import listen
from hwprovisioner.v1 import manager_stream_pb2 as stream

_ON_A_CONNECTION = 100
_SETTLE_S = 0.3
_ALLOCATE = "/hwprovisioner.v1.AllocateService/"
_OWN = [("grpc.use_local_subchannel_pool", 1)]


class Peers:
    """Those of one server; whatever comes on a stream of a watcher is read, and not looked at."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._channels: list[grpc.aio.Channel] = []
        self._streams = 0
        self._watchers: list[Any] = []
        self._managers: list[asyncio.Task[None]] = []

    async def managers(self, count: int) -> int:
        """Have so many more managers, without resources; returns how many are registered."""
        registered = [asyncio.Event() for _ in range(count)]
        self._managers += [
            asyncio.create_task(self._manage(f"m{len(self._managers)}-{n}", event))
            for n, event in enumerate(registered)
        ]
        await asyncio.gather(*(event.wait() for event in registered))
        return count

    async def watchers(self, count: int, method: str, request: str) -> int:
        """Open so many more streams at once, of a method that says something at once.

        Args:
            count: how many.
            method: its path.
            request: in hexadecimal digits.

        Returns:
            How many were answered.
        """
        body = bytes.fromhex(request)
        new = [self._call(method, body) for _ in range(count)]
        self._watchers += new
        first = await asyncio.gather(*(each.read() for each in new), return_exceptions=True)
        return sum(isinstance(each, bytes) for each in first)

    async def close(self) -> None:
        """Close the streams of watchers."""
        for each in self._watchers:
            each.cancel()
        self._watchers.clear()
        await asyncio.sleep(_SETTLE_S)

    async def told(self, method: str, request: str) -> dict[str, float]:
        """Make a call that has every watcher told something.

        Returns:
            How long it was until all were, in ms, and how long the longest message was.
        """
        call: Any = self._channel().unary_unary(method)
        reads = [asyncio.ensure_future(each.read()) for each in self._watchers]
        await asyncio.sleep(_SETTLE_S)  # all of them wait by then
        began = time.perf_counter()
        await call(bytes.fromhex(request))
        messages = await asyncio.gather(*reads)
        passed = time.perf_counter() - began
        return {"ms": passed * 1000, "bytes": max(len(each) for each in messages)}

    def _call(self, method: str, body: bytes) -> Any:  # noqa: ANN401  # bytes both ways
        call: Any = self._channel().unary_stream(method)
        return call(body)

    def _channel(self) -> grpc.aio.Channel:
        if self._streams % _ON_A_CONNECTION == 0:
            self._channels.append(grpc.aio.insecure_channel(self._address, options=_OWN))
        self._streams += 1
        return self._channels[-1]

    async def _manage(self, name: str, registered: asyncio.Event) -> None:
        call: Any = self._channel().stream_stream(
            f"{_ALLOCATE}Subscribe",
            request_serializer=stream.SubscribeRequest.SerializeToString,
            response_deserializer=stream.SubscribeResponse.FromString,
        )()
        await call.write(stream.SubscribeRequest(register=stream.Register(manager_id=name)))
        while message := await call.read():
            if message.HasField("registered"):
                registered.set()
            elif message.HasField("ping"):
                await call.write(stream.SubscribeRequest(pong=stream.Pong()))


async def main() -> None:
    """Do what is said on standard input, at an address."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    peers = Peers(sys.argv[1])
    doings = ("managers", "watchers", "told", "close")
    await listen({name: getattr(peers, name) for name in doings})


if __name__ == "__main__":
    uvloop.run(main())
