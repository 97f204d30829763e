"""What becomes of a request, told over as many streams as it takes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, TypeVar

from hwprovisioner.client.backoff import full_jitter
from hwprovisioner.client.channel import Channels
from hwprovisioner.client.clock import Time
from hwprovisioner.client.errors import LabUnavailable
from hwprovisioner.client.failures import decode, from_rpc, is_worth_retrying, unavailable
from hwprovisioner.client.our_grpc import grpc
from hwprovisioner.v1 import allocate_service_pb2 as pb

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Met:
    """The lab has taken the request: comes once, before every update."""

    allocation_id: str
    token: str
    sent_s: float
    """When the request was sent."""
    remaining_s: float
    """What the lease had left when the lab answered."""
    full_s: float
    """Its full length."""


@dataclass(frozen=True, slots=True)
class Away:
    """The lab does not answer for now."""

    trouble: LabUnavailable


@dataclass(frozen=True, slots=True)
class Claim:
    """An allocation that is there already, such as a booking."""

    allocation_id: str
    token: str


Asked = pb.AllocateRequest | Claim
"""What somebody wants to have: something new, or what is theirs already."""
Event = Met | Away | pb.AllocationUpdate


def longest_wait_s(asked: Asked) -> float:
    """Tells how long it may wait in the queue; 0: as long as it takes."""
    return 0.0 if isinstance(asked, Claim) else asked.wait_timeout.ToTimedelta().total_seconds()


async def follow(
    channels: Channels, asked: Asked, address: str, time: Time
) -> AsyncIterator[Event]:
    """Asks, and tells what becomes of it until it has ended.

    A request is sent again with the same id until the token is known, so that it stays one
    allocation. From then on, and for a claim from the beginning, a lost stream is taken up by a
    watch: an allocation that the lab has forgotten is not asked for anew.

    Raises:
        LabError: The lab refuses.
    """
    met: Met | None = None
    failures = 0
    while True:
        try:
            async for event in _events(channels, met or asked, time):
                failures = 0
                if isinstance(event, Met):
                    met = event
                yield event
                if isinstance(event, pb.AllocationUpdate) and event.HasField("ended"):
                    return
            trouble = LabUnavailable("the stream of updates ended early", reason="STREAM_LOST")
        except grpc.aio.AioRpcError as error:
            if not is_worth_retrying(error):
                raise from_rpc(error, address) from None
            trouble = unavailable(decode(error), address)
        failures += 1
        yield Away(trouble)
        await time.sleep(full_jitter(failures, random.random()))  # noqa: S311


def _events(
    channels: Channels, subject: Met | Asked, time: Time
) -> AsyncIterator[Met | pb.AllocationUpdate]:
    match subject:
        case Met():
            return _watch(channels, subject)
        case Claim():
            return _take_up(channels, subject, time)
    return _ask(channels, subject, time)


async def _ask(
    channels: Channels, request: pb.AllocateRequest, time: Time
) -> AsyncIterator[Met | pb.AllocationUpdate]:
    sent_s = time.now()
    async for response in stream_of(channels.allocate.Allocate(request)):
        if response.token:
            yield _met(response.update, response.token, sent_s)
        yield response.update


async def _take_up(
    channels: Channels, claim: Claim, time: Time
) -> AsyncIterator[Met | pb.AllocationUpdate]:
    sent_s, is_met = time.now(), False
    async for update in _watch(channels, claim):
        if not is_met:
            yield _met(update, claim.token, sent_s)
        is_met = True
        yield update


def _met(update: pb.AllocationUpdate, token: str, sent_s: float) -> Met:
    remaining_s = update.allocation.remaining_lease.ToTimedelta().total_seconds()
    full_s = update.allocation.lease_ttl.ToTimedelta().total_seconds()
    return Met(update.allocation.id, token, sent_s, remaining_s, full_s)


async def _watch(channels: Channels, known: Met | Claim) -> AsyncIterator[pb.AllocationUpdate]:
    request = pb.WatchAllocationRequest(allocation_id=known.allocation_id, token=known.token)
    async for response in stream_of(channels.allocate.WatchAllocation(request)):
        yield response.update


async def stream_of(call: grpc.aio.UnaryStreamCall[Any, Answer]) -> AsyncIterator[Answer]:
    """Gives what a stream says, and ends the call when nobody listens any more."""
    try:
        async for answer in call:
            yield answer
    finally:
        call.cancel()
