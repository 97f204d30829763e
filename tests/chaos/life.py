"""One life of a client: it asks, waits, uses what it gets, and ends it in one way or another.

It speaks the protocol itself, so that it can do what the SDK would never do: send a request twice,
go silent, and use tokens that are not its own.
"""

import asyncio
import contextlib
import random
import time
import uuid
from enum import StrEnum

import grpc.aio

from chaos.desk import Desk, Holder, end_reason, outcome_of
from chaos.history import Recorder, hashed
from hwprovisioner.client.lease import margin_s
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import Requestor
from support.asking import new_request, wanting
from support.eventually import eventually

LEASES_S = (1.5, 2.0, 3.0)
SET_SIZES = (1, 1, 1, 1, 2, 2, 3)
#: How long to try to be told what became of it.
OUTCOME_LIMIT_S = 20.0
TICK_S = 0.03
STREAM_LIMIT_S = 3.0
#: Nobody uses its hosts for longer.
LONGEST_S = 0.8


class Manner(StrEnum):
    """How a client behaves."""

    PROPER = "proper"
    """It gives back what it had."""
    SILENT = "silent"
    """It stops to beat, and waits to be told that it has lost the lease."""
    IMPATIENT = "impatient"
    """It gives up while it waits, if it has to wait."""
    REPEATING = "repeating"
    """It sends the same request several times, to any replica."""
    LYING = "lying"
    """It uses wrong tokens, and goes on to beat after the end."""


MANNERS = (*[Manner.PROPER] * 5, *[Manner.SILENT] * 3, *list(Manner)[2:])


class Life:
    """One request and what becomes of it."""

    def __init__(
        self, desk: Desk, history: Recorder, chance: random.Random, stopping: asyncio.Event
    ) -> None:
        self._holder = Holder(desk, history, chance)
        self._desk, self._history, self._chance = desk, history, chance
        self._stopping = stopping
        self._manner = chance.choice(MANNERS)
        self._ttl_s = chance.choice(LEASES_S)
        hosts = {f"h{n}": {"cpus": "1"} for n in range(chance.choice(SET_SIZES))}
        # From the seed, so that the same seed asks for the same.
        request_id = str(uuid.UUID(int=chance.getrandbits(128)))
        user = f"user-{chance.randrange(6)}"
        self._request = new_request(
            wanting(**hosts),
            request_id=request_id,
            lease_ttl=self._ttl_s,
            requestor=Requestor(user=user),
        )
        self._met, self._ready, self._over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._resources: list[str] = []

    async def live(self) -> None:
        following = asyncio.create_task(self._follow())
        beating: asyncio.Task[None] | None = None
        try:
            await self._first(self._met)
            if not self._met.is_set():
                return
            if self._manner is Manner.REPEATING:
                await self._repeat()
            beating = asyncio.create_task(self._beat())
            patience_s = self._chance.uniform(0, 1) if self._manner is Manner.IMPATIENT else 30
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self._first(self._ready)
            if self._ready.is_set():
                await self._hold(beating)
            await self._end(beating)
        finally:
            following.cancel()
            if beating:
                beating.cancel()
            await asyncio.gather(following, *([beating] if beating else []), return_exceptions=True)

    async def _first(self, event: asyncio.Event) -> None:
        """Wait for an event, or until there is nothing left to wait for."""
        waits = [asyncio.create_task(e.wait()) for e in (event, self._over, self._stopping)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _follow(self) -> None:
        """Follow the request over as many streams as it takes, at any replica."""
        while not self._over.is_set():
            await self._ask(is_followed=True)
            await asyncio.sleep(self._chance.uniform(0.02, 0.2))

    async def _repeat(self) -> None:
        """Send the same request again, at the same time as it is followed."""
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(self._ask(is_followed=False))

    async def _ask(self, *, is_followed: bool) -> None:
        sent = time.monotonic()
        request_id = hashed(self._request.request_id)
        hosts = len(self._request.demands.hosts)
        number = self._history.call("allocate", request=request_id, hosts=hosts)
        # No stream is relied upon: the replica behind it may have been stopped.
        stream = self._desk.allocate(self._chance).Allocate(self._request, timeout=STREAM_LIMIT_S)
        is_answered = False
        try:
            async for response in stream:
                if not is_answered:
                    is_answered = True
                    self._meet(number, response, sent)
                    if not is_followed:
                        return
                self._take(response.update)
        except grpc.aio.AioRpcError as error:
            said = outcome_of(error)
            if not is_answered:
                self._history.answer(number, **said)
            if said["outcome"] == "refused":
                self._over.set()
        finally:
            stream.cancel()

    def _meet(self, number: int, response: pb.AllocateResponse, sent: float) -> None:
        allocation = response.update.allocation
        token = hashed(response.token)
        self._history.answer(number, "ok", allocation=allocation.id, token=token)
        if not self._met.is_set():
            self._holder.allocation, self._holder.token = allocation.id, response.token
            left_s = allocation.remaining_lease.ToTimedelta().total_seconds()
            self._holder.lives_until = sent + left_s - margin_s(left_s)
        self._met.set()

    def _take(self, update: pb.AllocationUpdate) -> None:
        event = update.WhichOneof("event")
        if event == "ready":
            holds = [host.hold for host in update.allocation.hosts.values()]
            self._resources = [hold.resource for hold in holds]
            if not self._ready.is_set():
                said = [[hold.resource, hold.id, hold.fence] for hold in holds]
                self._history.write("ready", allocation=update.allocation.id, holds=said)
            self._ready.set()
        elif event == "ended":
            reason = end_reason(update.allocation)
            self._history.write("told", allocation=update.allocation.id, reason=reason)
            self._over.set()

    async def _beat(self) -> None:
        pause_s: float | None = 0.0
        while pause_s is not None:
            await asyncio.sleep(pause_s)
            pause_s = await self._holder.beat()

    async def _hold(self, beating: asyncio.Task[None]) -> None:
        """Use the hosts for a while."""
        if self._manner is Manner.SILENT:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        if self._manner is Manner.LYING:
            await self._holder.beat(str(uuid.uuid4()))
            await self._holder.release(str(uuid.uuid4()))
        until = time.monotonic() + self._chance.uniform(0.02, LONGEST_S)
        while not self._over.is_set() and not self._stopping.is_set():
            is_over = time.monotonic() > until and self._manner is not Manner.SILENT
            if is_over or not self._holder.use(self._resources):
                return
            await asyncio.sleep(TICK_S)

    async def _end(self, beating: asyncio.Task[None]) -> None:
        """End it in this client's manner, and find out what became of it."""
        is_silent = self._manner is Manner.SILENT and self._ready.is_set()
        deadline = time.monotonic() + OUTCOME_LIMIT_S
        while not is_silent and not self._over.is_set() and time.monotonic() < deadline:
            if await self._holder.release():
                break
            await asyncio.sleep(0.1)
        if self._manner is Manner.LYING and not is_silent:
            await self._holder.beat()  # its own token, but too late
        beating.cancel()
        with contextlib.suppress(AssertionError):  # the checker judges what it was told
            await eventually(self._holder.look, within=OUTCOME_LIMIT_S)
