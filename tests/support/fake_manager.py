"""A resource manager that follows a script, on a real stream, and what it may represent."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeAlias

import grpc.aio

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1.resource_pb2 import (
    PRESENCE_ONLINE,
    RESOURCE_KIND_PHYSICAL_SERVER,
    Connection,
    Division,
    Gpu,
    Os,
    ResourceSpec,
)
from support.asking import LIMIT_S
from support.eventually import eventually

GIB = 2**30


def machine(name: str, **facts: Any) -> ResourceSpec:
    """Return the description of an exclusive machine: 8 processors, 16 GiB, Ubuntu 22.04."""
    known: dict[str, Any] = {
        "kind": RESOURCE_KIND_PHYSICAL_SERVER,
        "cpus": 8,
        "memory_bytes": 16 * GIB,
        "os": Os(family="linux", distro="ubuntu", version="22.04"),
    }
    return ResourceSpec(name=name, **(known | facts))


def hypervisor(name: str, *, instances: int = 10, **facts: Any) -> ResourceSpec:
    """Return the description of a divisible machine."""
    return machine(name, **({"division": Division(instances=instances)} | facts))


def card(model: str, memory_gib: int = 8, brand: str = "nvidia") -> Gpu:
    return Gpu(brand=brand, model=model, memory_bytes=memory_gib * GIB)


Policy: TypeAlias = "Callable[[Manager, stream.Offer], Awaitable[None]]"
"""What a manager does with an offer."""


async def serve_at_once(agent: "Manager", offer: stream.Offer) -> None:
    """Accept and be ready."""
    await agent.say(accept=stream.Accept(hold=offer.hold))
    connection = Connection(protocol="ssh", address=f"{offer.resource}.lab")
    await agent.say(ready=stream.Ready(hold=offer.hold, connection=connection))


async def talk(agent: "Manager", offer: stream.Offer) -> None:
    """Accept, say two lines, be ready."""
    await agent.say(accept=stream.Accept(hold=offer.hold))
    for line in ("booting", "booted"):
        await agent.say(progress=stream.Progress(hold=offer.hold, message=line))
    await agent.say(ready=stream.Ready(hold=offer.hold, connection=Connection(address="10.0.0.1")))


async def ignore(agent: "Manager", offer: stream.Offer) -> None:
    """Leave an offer unanswered; the test answers it."""


class Manager:
    """One stream of a resource manager.

    It answers pings, offers by `policy`, and releases with `cleaned` while `cleans` is true.
    """

    def __init__(self, call: Any, manager_id: str, policy: Policy) -> None:
        self.id = manager_id
        self.policy = policy
        self.cleans = True
        self.pongs = True
        self.registered: stream.Registered | None = None
        self.heard: list[stream.SubscribeResponse] = []
        self.uses: Counter[tuple[str, str]] = Counter()
        """How often which user was offered which resource."""
        self._call = call
        self._news = asyncio.Event()
        self._writing = asyncio.Lock()
        self._ended = asyncio.Event()
        self._error: grpc.aio.AioRpcError | None = None

    async def say(self, **event: Any) -> None:
        async with self._writing:
            await self._call.write(stream.SubscribeRequest(**event))

    async def volunteer(self, spec: ResourceSpec) -> None:
        await self.say(volunteer=stream.Volunteer(spec=spec))

    async def hear(self, kind: str, check: Callable[[Any], bool] = lambda _: True) -> Any:
        """Wait for a message of a kind that satisfies `check` and was not taken, and take it."""
        async with asyncio.timeout(LIMIT_S):
            while (found := self._find(kind, check)) is None:
                assert not self._ended.is_set(), f"{self.id}: the stream ended without {kind}"
                self._news.clear()
                await self._news.wait()
        self.heard.remove(found)
        return getattr(found, kind)

    async def status(self) -> grpc.aio.AioRpcError | None:
        """Wait for the end of the stream, and return the error that it ended with, None for OK."""
        async with asyncio.timeout(LIMIT_S):
            await self._ended.wait()
        return self._error

    async def done_writing(self) -> None:
        await self._call.done_writing()

    def cut(self) -> None:
        """Lose the stream."""
        self._call.cancel()

    async def live(self) -> None:
        """Take in what the lab says until the stream ends."""
        try:
            while (message := await self._call.read()) is not grpc.aio.EOF:
                await self._take_in(message)
        except grpc.aio.AioRpcError as error:
            self._error = error
        except (asyncio.CancelledError, asyncio.InvalidStateError):
            pass  # the call was cancelled, by its own side
        self._ended.set()
        self._news.set()

    async def _take_in(self, message: stream.SubscribeResponse) -> None:
        self.heard.append(message)
        match message.WhichOneof("event"):
            case "registered":
                self.registered = message.registered
            case "ping" if self.pongs:
                await self.say(pong=stream.Pong())
            case "offer":
                self.uses[message.offer.user, message.offer.resource] += 1
                await self.policy(self, message.offer)
            case "release" if self.cleans:
                await self.say(cleaned=stream.Cleaned(hold=message.release.hold))
        self._news.set()

    def _find(self, kind: str, check: Callable[[Any], bool]) -> stream.SubscribeResponse | None:
        for message in self.heard:
            if message.WhichOneof("event") == kind and check(getattr(message, kind)):
                return message
        return None


@contextlib.asynccontextmanager
async def manager(
    stub: Any,
    manager_id: str,
    inventory: Iterable[ResourceSpec] = (),
    *,
    policy: Policy = serve_at_once,
    volunteers: bool = True,
    cleans: bool = True,
    holds: Iterable[stream.HeldHold] = (),
    **told: Any,
) -> AsyncIterator[Manager]:
    """Register, volunteer the inventory, and answer until the block ends, which cuts the stream."""
    inventory = list(inventory)
    call = stub.Subscribe()
    agent = Manager(call, manager_id, policy)
    agent.cleans = cleans
    register = stream.Register(manager_id=manager_id, inventory=inventory, holds=holds, **told)
    await agent.say(register=register)
    living = asyncio.create_task(agent.live(), name=f"manager {manager_id}")
    try:
        await agent.hear("registered")
        for spec in inventory if volunteers else ():
            await agent.volunteer(spec)
        await until_known(stub, manager_id, inventory if volunteers else [])
        yield agent
    finally:
        call.cancel()
        await living


async def until_known(stub: Any, manager_id: str, inventory: Iterable[ResourceSpec]) -> None:
    """Wait until all that a manager volunteers is to be had."""
    wanted = {spec.name for spec in inventory}
    request = pb.ListResourcesRequest(manager=manager_id, page_size=1000)

    async def is_known() -> bool:
        listed = (await stub.ListResources(request, timeout=LIMIT_S)).resources
        return wanted <= {r.spec.name for r in listed if r.presence == PRESENCE_ONLINE}

    await eventually(is_known)
