"""A client as most are: it uses the SDK, which has to hide what the lab goes through."""

import asyncio
import random
import time
from typing import Any

import grpc.aio

from chaos.desk import outcome_of, outcome_of_report
from chaos.history import Recorder, hashed
from chaos.life import LEASES_S, LONGEST_S, TICK_S
from hwprovisioner.client import AsyncLab, LabError, LeaseLost
from hwprovisioner.client.allocating import AsyncHardware
from hwprovisioner.client.channel import Channels
from hwprovisioner.client.failures import read_status
from hwprovisioner.v1.heartbeat_service_pb2 import (
    BatchHeartbeatRequest,
    BatchHeartbeatResponse,
    HeartbeatRequest,
    HeartbeatResponse,
)


class RecordedLab(AsyncLab):
    """The SDK, with its heartbeats written down."""

    def __init__(self, allocate: str, heartbeat: str, history: Recorder) -> None:
        super().__init__(allocate, heartbeat)
        self._history = history

    def _channels(self) -> Channels:
        if self._opened is None:
            addresses = (self.settings.allocate_address, self.settings.heartbeat_address)
            self._opened = RecordedChannels(*addresses, self._history)
        return self._opened


class RecordedChannels(Channels):
    """Its connections, of which that to the heartbeat service is renewed now and then."""

    def __init__(self, allocate: str, heartbeat: str, history: Recorder) -> None:
        self._history = history
        super().__init__(allocate, heartbeat)

    @property
    def heartbeat(self) -> Any:
        return self._recorded

    @heartbeat.setter
    def heartbeat(self, stub: Any) -> None:
        self._recorded = RecordedBeats(stub, self._history)


class RecordedBeats:
    """Stands before the heartbeat service."""

    def __init__(self, stub: Any, history: Recorder) -> None:
        self._stub, self._history = stub, history

    async def Heartbeat(  # as gRPC's stubs have it
        self,
        request: HeartbeatRequest,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> HeartbeatResponse:
        number = self._sent(request)
        try:
            answer: HeartbeatResponse = await self._stub.Heartbeat(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            self._history.answer(number, **outcome_of(error))
            raise
        self._taken(number, answer)
        return answer

    async def BatchHeartbeat(
        self,
        request: BatchHeartbeatRequest,
        *,
        timeout: float,  # noqa: ASYNC109
    ) -> BatchHeartbeatResponse:
        numbers = [self._sent(beat) for beat in request.beats]
        try:
            answer: BatchHeartbeatResponse = await self._stub.BatchHeartbeat(
                request, timeout=timeout
            )
        except grpc.aio.AioRpcError as error:
            for number in numbers:
                self._history.answer(number, **outcome_of(error))
            raise
        for number, result in zip(numbers, answer.results, strict=True):
            if result.HasField("response"):
                self._taken(number, result.response)
            else:
                self._history.answer(number, **outcome_of_report(read_status(result.error)))
        return answer

    def _sent(self, request: HeartbeatRequest) -> int:
        return self._history.call(
            "beat", allocation=request.allocation_id, token=hashed(request.token), misuse=""
        )

    def _taken(self, number: int, answer: HeartbeatResponse) -> None:
        left_s = answer.remaining_lease.ToTimedelta().total_seconds()
        self._history.answer(number, "ok", left_s=left_s)


async def live(
    lab: AsyncLab, history: Recorder, chance: random.Random, stopping: asyncio.Event
) -> None:
    """Ask once for a host or two, use them for a while, and give them back."""
    hosts = {f"h{n}": {"cpus": "1"} for n in range(chance.choice((1, 1, 2)))}
    hold_s = chance.uniform(0.02, LONGEST_S)
    try:
        async with lab.allocate(
            demands=hosts, lease_ttl=f"{chance.choice(LEASES_S)}s", wait="30s"
        ) as hardware:
            await _use(hardware, history, hold_s, stopping)
    except LeaseLost as loss:
        history.write("lost", allocation=loss.allocation_id, reason=loss.reason, why=str(loss))
    except LabError as error:
        history.write("trouble", error=type(error).__name__, reason=error.reason, why=str(error))


async def _use(
    hardware: AsyncHardware, history: Recorder, hold_s: float, stopping: asyncio.Event
) -> None:
    allocation = hardware.allocation_id
    resources = [host.resource for host in hardware]
    history.write("held", allocation=allocation, resources=resources)
    until = time.monotonic() + hold_s
    while time.monotonic() < until and not stopping.is_set():
        began = time.monotonic()
        hardware.check()
        for resource in resources:
            history.write("use", allocation=allocation, resource=resource, began=began)
        await asyncio.sleep(TICK_S)
    history.write("done", allocation=allocation)
