"""A client of etcd with leases that nobody keeps alive, each with a key, to see when they end."""

import asyncio
import sys
import time
from typing import Any

import grpc.aio
import uvloop

from benchmarks.frame.talking import listen
from benchmarks.peers.etcd import api

pb = api.pb
_TTL_S = 3
"""etcd counts in seconds, and takes two of them at least."""
_PATIENCE_S = 10.0
_PREFIX, _AFTER = b"lease/", b"lease0"


class Client:
    """Grants, and watches what becomes of it."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._grant = api.method(channel, api.GRANT, pb.LeaseGrantResponse)
        self._put = api.method(channel, api.PUT, pb.LeaseGrantResponse)
        self._watch: Any = channel.stream_stream(
            api.WATCH,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=pb.WatchResponse.FromString,
        )

    async def lateness_ms(self, count: int, each_ms: int) -> list[float]:
        """Have so many end, one after the other; returns how late each did."""
        watch = self._watch()
        wanted = pb.WatchCreateRequest(key=_PREFIX, range_end=_AFTER)
        await watch.write(pb.WatchRequest(create_request=wanted))
        await watch.read()
        ended: dict[bytes, float] = {}
        due: dict[bytes, float] = {}
        hearing = asyncio.create_task(_hear(watch, ended, count))
        for number in range(count):
            lease = await self._grant(pb.LeaseGrantRequest(TTL=_TTL_S))
            key = _PREFIX + str(number).encode()
            due[key] = time.perf_counter() + _TTL_S
            await self._put(pb.PutRequest(key=key, lease=lease.ID))
            await asyncio.sleep(each_ms / 1000)
        async with asyncio.timeout(_TTL_S + _PATIENCE_S):
            await hearing
        watch.cancel()
        return [(ended[key] - when) * 1000 for key, when in due.items()]


async def _hear(watch: Any, ended: dict[bytes, float], count: int) -> None:  # noqa: ANN401
    while len(ended) < count:
        answer = await watch.read()
        now = time.perf_counter()
        ended |= {each.kv.key: now for each in answer.events if each.type == pb.Event.DELETE}


async def main() -> None:
    """Do what is said on standard input, for the etcd at an address."""
    async with grpc.aio.insecure_channel(sys.argv[1]) as channel:
        await listen({"lateness": Client(channel).lateness_ms})


if __name__ == "__main__":
    uvloop.run(main())
