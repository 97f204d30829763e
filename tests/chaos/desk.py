"""Calls of the lab that are written down: what was asked, and what came of it.

Each call goes to any of the replicas, as behind a load balancer.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Any

import grpc.aio

from chaos.history import Recorder, hashed
from hwprovisioner.client.channel import CHANNEL_OPTIONS
from hwprovisioner.client.failures import Report, decode
from hwprovisioner.client.lease import margin_s
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocate_service_pb2_grpc import AllocateServiceStub
from hwprovisioner.v1.allocation_pb2 import Allocation, EndReason
from hwprovisioner.v1.heartbeat_service_pb2 import HeartbeatRequest
from hwprovisioner.v1.heartbeat_service_pb2_grpc import HeartbeatServiceStub

LIMIT_S = 2.0
PAUSE_S = 0.2
#: Of these it cannot be told whether the call took effect.
_UNKNOWN = {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "UNKNOWN", "INTERNAL"}


class Desk:
    """The replicas of a lab, as one process reaches them."""

    def __init__(self, allocate: Sequence[str], heartbeat: Sequence[str]) -> None:
        self._channels = [
            grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
            for target in (*allocate, *heartbeat)
        ]
        stubs = self._channels
        self._allocate = [AllocateServiceStub(channel) for channel in stubs[: len(allocate)]]
        self._heartbeat = [HeartbeatServiceStub(channel) for channel in stubs[len(allocate) :]]

    def allocate(self, chance: random.Random) -> Any:
        """Any replica of Allocate."""
        return chance.choice(self._allocate)

    def heartbeat(self, chance: random.Random) -> Any:
        return chance.choice(self._heartbeat)

    async def close(self) -> None:
        await asyncio.gather(*(channel.close() for channel in self._channels))


def outcome_of(error: grpc.aio.AioRpcError) -> dict[str, str]:
    """Return what a failed call means, as an answer in the history says it."""
    return outcome_of_report(decode(error))


def outcome_of_report(report: Report) -> dict[str, str]:
    unknown = report.code in _UNKNOWN
    answer = {"outcome": "unknown" if unknown else "refused", "code": report.code}
    return {**answer, "reason": report.reason, "message": report.message[:200]}


def end_reason(allocation: Allocation) -> str:
    """Return why it ended, empty if it has not."""
    if not allocation.end_reason:
        return ""
    return EndReason.Name(allocation.end_reason).removeprefix("END_REASON_")


class Holder:
    """The calls of whoever has a token; knows until when its lease is proven to live."""

    def __init__(self, desk: Desk, history: Recorder, chance: random.Random) -> None:
        self.desk, self.history, self.chance = desk, history, chance
        self.allocation, self.token = "", ""
        self.lives_until = 0.0

    async def beat(self, token: str | None = None) -> float | None:
        """Beat; return how long to wait until the next, or None if the lab has refused.

        A `token` that is not its own makes it a misuse that must be refused.
        """
        misuse = "" if token is None else "token"
        sent = time.monotonic()
        number = self._begin("beat", token, misuse=misuse)
        request = HeartbeatRequest(allocation_id=self.allocation, token=token or self.token)
        try:
            stub = self.desk.heartbeat(self.chance)
            answer = await stub.Heartbeat(request, timeout=LIMIT_S / 2)
        except grpc.aio.AioRpcError as error:
            said = outcome_of(error)
            self.history.answer(number, **said)
            return None if said["outcome"] == "refused" else 0.1
        left_s: float = answer.remaining_lease.ToTimedelta().total_seconds()
        self.history.answer(number, "ok", left_s=left_s)
        if not misuse:
            self.lives_until = max(self.lives_until, sent + left_s - margin_s(left_s))
        delay_s: float = answer.next_heartbeat_delay.ToTimedelta().total_seconds()
        return min(delay_s, left_s / 2)

    async def release(self, token: str | None = None) -> bool:
        """Give it back; return whether there was an answer."""
        number = self._begin("release", token, misuse="" if token is None else "token")
        request = pb.ReleaseAllocationRequest(
            allocation_id=self.allocation, token=token or self.token
        )
        try:
            stub = self.desk.allocate(self.chance)
            answer = await stub.ReleaseAllocation(request, timeout=LIMIT_S)
        except grpc.aio.AioRpcError as error:
            said = outcome_of(error)
            self.history.answer(number, **said)
            return said["outcome"] == "refused"
        self.history.answer(number, "ok", reason=end_reason(answer.allocation))
        return True

    async def look(self) -> str:
        """Return why it ended, or why it is not told; empty after a while if nobody knows yet."""
        number = self._begin("get", None)
        request = pb.GetAllocationRequest(allocation_id=self.allocation, token=self.token)
        try:
            stub = self.desk.allocate(self.chance)
            answer = await stub.GetAllocation(request, timeout=LIMIT_S)
        except grpc.aio.AioRpcError as error:
            said = outcome_of(error)
            self.history.answer(number, **said)
            reason = said["reason"] if said["outcome"] == "refused" else ""
        else:
            reason = end_reason(answer.allocation)
            self.history.answer(number, "ok", reason=reason)
        if not reason:
            await asyncio.sleep(PAUSE_S)
        return reason

    def use(self, resources: Sequence[str]) -> bool:
        """Use the hosts for a moment, unless the lease is not proven to live any longer."""
        began = time.monotonic()
        if began >= self.lives_until:
            return False
        for resource in resources:
            self.history.write("use", allocation=self.allocation, resource=resource, began=began)
        return True

    def _begin(self, name: str, token: str | None, **more: str) -> int:
        return self.history.call(
            name, allocation=self.allocation, token=hashed(token or self.token), **more
        )
