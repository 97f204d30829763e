"""HeartbeatService: one beat or many, on one way from request to answer."""

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import grpc.aio

from hwprovisioner.heartbeat.answers import away, batch_response_to, refusal_of, response_to
from hwprovisioner.heartbeat.beats import Alive, Beat, Outcome
from hwprovisioner.heartbeat.reading import read, read_batch
from hwprovisioner.heartbeat.standing import Pause
from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.v1 import heartbeat_service_pb2, heartbeat_service_pb2_grpc

SERVICE_NAME = heartbeat_service_pb2.DESCRIPTOR.services_by_name["HeartbeatService"].full_name

_WrittenT = TypeVar("_WrittenT")


class HeartbeatServicer(heartbeat_service_pb2_grpc.HeartbeatServiceServicer):
    """Keeps allocations alive.

    Args:
        beat: writes one beat.
        beat_all: writes many.
        pause: how leases are paused while Redis cannot be reached; None if that is not known.
        chance: from 0 to 1, for jitter.
    """

    def __init__(
        self,
        beat: Callable[[Beat], Awaitable[Outcome]],
        beat_all: Callable[[Sequence[Beat]], Awaitable[Sequence[Outcome]]],
        pause: Callable[[], Pause | None] = lambda: None,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._beat = beat
        self._beat_all = beat_all
        self._pause = pause
        self._chance = chance

    async def Heartbeat(
        self,
        request: heartbeat_service_pb2.HeartbeatRequest,
        context: grpc.aio.ServicerContext[object, object],
    ) -> heartbeat_service_pb2.HeartbeatResponse:
        """Extend a lease; see the contract for the errors."""
        beat = read(request)
        outcome = await self._written(self._beat(beat))
        if isinstance(outcome, Alive):
            return response_to(outcome, self._chance())
        raise refusal_of(beat.allocation_id, outcome)

    async def BatchHeartbeat(
        self,
        request: heartbeat_service_pb2.BatchHeartbeatRequest,
        context: grpc.aio.ServicerContext[object, object],
    ) -> heartbeat_service_pb2.BatchHeartbeatResponse:
        """Extend leases, each on its own."""
        beats = read_batch(request)
        good = [beat for beat in beats if isinstance(beat, Beat)]
        outcomes = await self._written(self._beat_all(good))
        return batch_response_to(beats, outcomes, self._chance())

    async def _written(self, writing: Awaitable[_WrittenT]) -> _WrittenT:
        try:
            return await writing
        except StateUnavailable as error:
            raise away(error, self._pause()) from None
