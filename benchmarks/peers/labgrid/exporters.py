"""Exporters of labgrid that answer at once, in the environment of labgrid."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import grpc
from labgrid.remote.generated import labgrid_coordinator_pb2 as pb
from labgrid.remote.generated import labgrid_coordinator_pb2_grpc as stubs

from benchmarks.frame.talking import listen
from benchmarks.peers.labgrid.wire import CHANNEL, VERSION, Outbox

POOL = "bench"
_PLACES_EACH = 10
_RESOURCES = ("res0", "res1")


class Exporter:
    """Has some groups of two resources; says yes to whatever is asked of them."""

    def __init__(self, address: str, name: str, groups: list[str]) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=CHANNEL)
        self._outbox: Outbox[pb.ExporterInMessage] = Outbox()
        hello = pb.ExporterInMessage()
        hello.startup.version, hello.startup.name = VERSION, name
        self._outbox.put(hello)
        for group in groups:
            for resource in _RESOURCES:
                self._outbox.put(_resource(group, resource, ""))
        self._call = stubs.CoordinatorStub(self._channel).ExporterStream(aiter(self._outbox))
        self._task = asyncio.create_task(self._answer())

    async def _answer(self) -> None:
        """As labgrid's exporter does: first how the resource stands, then that it was done."""
        async for said in self._call:
            if said.WhichOneof("kind") == "set_acquired_request":
                asked = said.set_acquired_request
                who = asked.place_name
                self._outbox.put(_resource(asked.group_name, asked.resource_name, who))
                done = pb.ExporterInMessage()
                done.response.success = True
                self._outbox.put(done)


def _resource(group: str, name: str, acquired: str) -> pb.ExporterInMessage:
    message = pb.ExporterInMessage()
    message.resource.path.group_name = group
    message.resource.path.resource_name = name
    message.resource.cls = "NetworkPowerPort" if name == _RESOURCES[0] else "NetworkSerialPort"
    message.resource.params["host"].string_value = "192.0.2.1"
    message.resource.params["port"].uint_value = 4000
    message.resource.avail = True
    message.resource.acquired = acquired
    return message


class Lab:
    """Exporters, and the places that an administrator has made of their resources."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._exporters: list[Exporter] = []

    async def build(self, places: int) -> int:
        """Make so many places; returns how many there are."""
        channel = grpc.aio.insecure_channel(self._address, options=CHANNEL)
        admin = stubs.CoordinatorStub(channel)
        for first in range(0, places, _PLACES_EACH):
            name = f"exporter{first // _PLACES_EACH}"
            groups = [f"g{n}" for n in range(first, min(first + _PLACES_EACH, places))]
            self._exporters.append(Exporter(self._address, name, groups))
            for group in groups:
                place = f"place-{group}"
                await admin.AddPlace(pb.AddPlaceRequest(name=place))
                matching = {"placename": place, "pattern": f"{name}/{group}/*"}
                await admin.AddPlaceMatch(pb.AddPlaceMatchRequest(**matching))
                tags = {"pool": POOL}
                await admin.SetPlaceTags(pb.SetPlaceTagsRequest(placename=place, tags=tags))
        found = await admin.GetPlaces(pb.GetPlacesRequest())
        return len(found.places)


async def main() -> None:
    """Do what is said on standard input, for the coordinator at an address."""
    await listen({"build": Lab(sys.argv[1]).build})


if __name__ == "__main__":
    asyncio.run(main())
