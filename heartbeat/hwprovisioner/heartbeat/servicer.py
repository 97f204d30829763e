"""HeartbeatService: from request to beat, from outcome to response."""

import random
import re
from collections.abc import Awaitable, Callable

import grpc.aio

from hwprovisioner.heartbeat.beats import Alive, Beat, Outcome, Over, Unknown, WrongToken
from hwprovisioner.heartbeat.pace import next_delay_ms, notices_for
from hwprovisioner.heartbeat.standing import Pause
from hwprovisioner.serving import Refused, Violation, bad_request
from hwprovisioner.state import errors
from hwprovisioner.v1 import allocation_pb2, heartbeat_service_pb2, heartbeat_service_pb2_grpc

SERVICE_NAME = heartbeat_service_pb2.DESCRIPTOR.services_by_name["HeartbeatService"].full_name

# Becomes part of a key, so nothing that means something there.
_ALLOCATION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LONGEST_TOKEN = 256
# Holders who know of a pause are in no hurry, and there may be very many.
_PAUSED_RETRY_MS = 2000


class HeartbeatServicer(heartbeat_service_pb2_grpc.HeartbeatServiceServicer):
    """Keeps allocations alive.

    Args:
        beat: writes one beat.
        pause: how leases are paused while Redis cannot be reached; None if that is not known.
        chance: from 0 to 1, for jitter.
    """

    def __init__(
        self,
        beat: Callable[[Beat], Awaitable[Outcome]],
        pause: Callable[[], Pause | None] = lambda: None,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._beat = beat
        self._pause = pause
        self._chance = chance

    async def Heartbeat(
        self,
        request: heartbeat_service_pb2.HeartbeatRequest,
        context: grpc.aio.ServicerContext[object, object],
    ) -> heartbeat_service_pb2.HeartbeatResponse:
        """Extend a lease; see the contract for the errors."""
        beat = _read(request)
        try:
            outcome = await self._beat(beat)
        except errors.StateUnavailable as error:
            raise _away(error, self._pause()) from None
        match outcome:
            case Alive() as alive:
                return self._response(alive)
            case Over(reason, detail):
                raise _ended(beat.allocation_id, reason, detail)
            case WrongToken():
                raise errors.WrongToken(beat.allocation_id)
            case Unknown():
                raise errors.NoSuchAllocation(beat.allocation_id)

    def _response(self, alive: Alive) -> heartbeat_service_pb2.HeartbeatResponse:
        response = heartbeat_service_pb2.HeartbeatResponse(
            state=allocation_pb2.AllocationState.Value(f"ALLOCATION_STATE_{alive.state}"),
            notices=notices_for(alive),
        )
        response.remaining_lease.FromMilliseconds(alive.remaining_ms)
        delay_ms = next_delay_ms(alive.ttl_ms, self._chance)
        response.next_heartbeat_delay.FromMilliseconds(delay_ms)
        return response


def _read(request: heartbeat_service_pb2.HeartbeatRequest) -> Beat:
    """Return the beat that is asked for, or refuse the request with each of its faults."""
    violations: list[Violation] = []
    if not request.allocation_id:
        violations.append(("allocation_id", "is missing"))
    elif not _ALLOCATION_ID.fullmatch(request.allocation_id):
        violations.append(("allocation_id", "is not the id of an allocation"))
    if not request.token:
        violations.append(("token", "is missing: it came with the allocation's first update"))
    elif len(request.token) > _LONGEST_TOKEN:
        violations.append(("token", f"is longer than {_LONGEST_TOKEN} characters"))
    if violations:
        raise bad_request(violations)
    return Beat(request.allocation_id, request.token)


def _away(error: errors.StateUnavailable, pause: Pause | None) -> Refused:
    """Return the refusal of a beat that could not be written, or not for certain."""
    said, details, retry_after_ms = str(error), [], error.retry_after_ms
    if pause is not None:
        said += f"; meanwhile leases are paused, for {pause.remaining_ms / 1000:.0f} s at most"
        message = heartbeat_service_pb2.LeasePause()
        message.paused_for.FromMilliseconds(pause.paused_for_ms)
        message.remaining.FromMilliseconds(pause.remaining_ms)
        details.append(message)
        retry_after_ms = _PAUSED_RETRY_MS
    return Refused(error.reason, said, retry_after_ms=retry_after_ms, details=details)


def _ended(allocation_id: str, reason: str, detail: str) -> Refused:
    said = f" ({detail})" if detail else ""
    return Refused(
        "ALLOCATION_ENDED",
        f"allocation {allocation_id!r} has ended: {reason}{said}; allocate anew",
        metadata={"allocation_id": allocation_id, "end_reason": reason, "end_detail": detail},
    )
