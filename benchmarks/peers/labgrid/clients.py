"""Clients of labgrid that reserve, acquire and give back, in the environment of labgrid."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

import grpc
from labgrid.remote.generated import labgrid_coordinator_pb2 as pb
from labgrid.remote.generated import labgrid_coordinator_pb2_grpc as stubs

from benchmarks.frame.talking import listen
from benchmarks.peers.labgrid.wire import CHANNEL, VERSION, Outbox

POOL = "bench"
_WAITING = 0
_POLL_S = 1.0
"""As labgrid-client polls."""
_SYNC = 7


class Client:
    """A session; what it is told of places and resources stays undecoded, to be cheap."""

    def __init__(self, address: str, name: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=CHANNEL)
        self._lab = stubs.CoordinatorStub(self._channel)
        self._outbox: Outbox[pb.ClientInMessage] = Outbox()
        hello = pb.ClientInMessage()
        hello.startup.version, hello.startup.name = VERSION, name
        self._outbox.put(hello)
        for what in ("all_places", "all_resources"):
            subscribe = pb.ClientInMessage()
            setattr(subscribe.subscribe, what, True)
            self._outbox.put(subscribe)
        sync = pb.ClientInMessage()
        sync.sync.id = _SYNC
        self._outbox.put(sync)

    async def start(self) -> None:
        """Begin the session; returns once everything has been told."""
        stream: Any = self._channel.stream_stream(
            "/labgrid.Coordinator/ClientStream",
            request_serializer=pb.ClientInMessage.SerializeToString,
            response_deserializer=None,
        )
        synced = pb.ClientOutMessage(sync=pb.Sync(id=_SYNC)).SerializeToString()
        call = stream(aiter(self._outbox))
        while await call.read() != synced:
            pass
        self._reading = asyncio.create_task(_read_on(call))

    async def once(self) -> float:
        """Have a place and give it back; returns from the reservation to acquired, in s."""
        began = time.perf_counter()
        filters = {"main": pb.Reservation.Filter(filter={"pool": POOL})}
        request = pb.CreateReservationRequest(filters=filters, prio=0.0)
        reservation = (await self._lab.CreateReservation(request)).reservation
        token = reservation.token
        while True:  # it looks once in any case
            poll = await self._lab.PollReservation(pb.PollReservationRequest(token=token))
            if poll.reservation.state != _WAITING:
                break
            await asyncio.sleep(_POLL_S)
        place = poll.reservation.allocations["main"]
        await self._lab.AcquirePlace(pb.AcquirePlaceRequest(placename=place))
        acquired = time.perf_counter()
        await self._lab.ReleasePlace(pb.ReleasePlaceRequest(placename=place))
        await self._lab.CancelReservation(pb.CancelReservationRequest(token=token))
        return acquired - began


async def _read_on(call: Any) -> None:  # noqa: ANN401
    while await call.read() is not grpc.aio.EOF:
        pass


class Clients:
    """All clients of this process."""

    def __init__(self, address: str, name: str) -> None:
        self._address, self._name = address, name
        self._clients: list[Client] = []

    async def start(self, clients: int) -> int:
        """Begin so many sessions."""
        users = [f"{self._name}/user{number}" for number in range(clients)]
        self._clients = [Client(self._address, user) for user in users]
        for client in self._clients:
            await client.start()
        return len(self._clients)

    async def some(self, times: int) -> list[float]:
        """Have the first one go round so many times; returns each, in ms."""
        return [await self._clients[0].once() * 1000 for _ in range(times)]

    async def loop(self, seconds: float) -> dict[str, Any]:
        """Have each go round for so long; returns how long that took, and each time in ms."""
        began = time.perf_counter()
        found: list[float] = []
        await asyncio.gather(*(_turns(each, began + seconds, found) for each in self._clients))
        return {"seconds": time.perf_counter() - began, "each_ms": found}


async def _turns(client: Client, until: float, found: list[float]) -> None:
    while time.perf_counter() < until:
        found.append(await client.once() * 1000)


async def main() -> None:
    """Do what is said on standard input, for the coordinator at an address, by a host's name."""
    clients = Clients(sys.argv[1], sys.argv[2])
    await listen({"start": clients.start, "loop": clients.loop, "some": clients.some})


if __name__ == "__main__":
    asyncio.run(main())
