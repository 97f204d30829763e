"""From outcomes to answers: what the holder of an allocation is told, or why it is refused."""

from collections.abc import Iterable, Sequence

from google.protobuf.duration_pb2 import Duration

from hwprovisioner.heartbeat.beats import Alive, Beat, Outcome, Over, Unknown, WrongToken
from hwprovisioner.heartbeat.pace import next_delay_ms, notices_for
from hwprovisioner.heartbeat.standing import Pause
from hwprovisioner.serving import Refusal, Refused, rich_status_of
from hwprovisioner.state import errors
from hwprovisioner.v1 import allocation_pb2, heartbeat_service_pb2

_STATES = {
    name.removeprefix("ALLOCATION_STATE_"): value
    for name, value in allocation_pb2.AllocationState.items()
}
# Holders who know of a pause are in no hurry, and there may be very many.
_PAUSED_RETRY_MS = 2000


def response_to(alive: Alive, chance: float) -> heartbeat_service_pb2.HeartbeatResponse:
    """Return what the holder of a lease is told; `chance` (0 to 1) is for jitter."""
    # Field by field: a constructor that is given them takes twice as long.
    response = heartbeat_service_pb2.HeartbeatResponse()
    response.state = _STATES[alive.state]
    if notices := notices_for(alive):
        response.notices.extend(notices)
    _fill(response.remaining_lease, alive.remaining_ms)
    _fill(response.next_heartbeat_delay, next_delay_ms(alive.ttl_ms, chance))
    return response


def refusal_of(
    allocation_id: str, outcome: Over | WrongToken | Unknown
) -> Refused | errors.WrongToken | errors.NoSuchAllocation:
    """Return why there is no lease to extend."""
    match outcome:
        case Over(reason, detail):
            return _ended(allocation_id, reason, detail)
        case WrongToken():
            return errors.WrongToken(allocation_id)
        case Unknown():
            return errors.NoSuchAllocation(allocation_id)


def batch_response_to(
    beats: Iterable[Beat | Refused], outcomes: Sequence[Outcome], chance: float
) -> heartbeat_service_pb2.BatchHeartbeatResponse:
    """Return the answer to many beats, of which `outcomes` has those that were no refusals.

    Leases of one length get one delay: who beat together goes on together.
    """
    rest = iter(outcomes)
    alike: dict[Alive, heartbeat_service_pb2.BeatResult] = {}
    results = []
    for beat in beats:
        if isinstance(beat, Refused):
            results.append(_refused(beat))
        elif isinstance(outcome := next(rest), Alive):
            taken = alike.get(outcome) or alike.setdefault(outcome, _taken(outcome, chance))
            results.append(taken)
        else:
            results.append(_refused(refusal_of(beat.allocation_id, outcome)))
    return heartbeat_service_pb2.BatchHeartbeatResponse(results=results)


def away(error: errors.StateUnavailable, pause: Pause | None) -> Refused:
    """Return the refusal of beats that could not be written, or not for certain."""
    said, details, retry_after_ms = str(error), [], error.retry_after_ms
    if pause is not None:
        said += f"; meanwhile leases are paused, for {pause.remaining_ms / 1000:.0f} s at most"
        message = heartbeat_service_pb2.LeasePause()
        message.paused_for.FromMilliseconds(pause.paused_for_ms)
        message.remaining.FromMilliseconds(pause.remaining_ms)
        details.append(message)
        retry_after_ms = _PAUSED_RETRY_MS
    return Refused(error.reason, said, retry_after_ms=retry_after_ms, details=details)


def _taken(alive: Alive, chance: float) -> heartbeat_service_pb2.BeatResult:
    return heartbeat_service_pb2.BeatResult(response=response_to(alive, chance))


def _fill(duration: Duration, ms: int) -> None:
    """Set a duration of 0 and more; protobuf's own way does it for any, at three times the cost."""
    duration.seconds, rest = divmod(ms, 1000)
    duration.nanos = rest * 1_000_000


def _refused(refusal: Refusal) -> heartbeat_service_pb2.BeatResult:
    return heartbeat_service_pb2.BeatResult(error=rich_status_of(refusal))


def _ended(allocation_id: str, reason: str, detail: str) -> Refused:
    said = f" ({detail})" if detail else ""
    return Refused(
        "ALLOCATION_ENDED",
        f"allocation {allocation_id!r} has ended: {reason}{said}; allocate anew",
        metadata={"allocation_id": allocation_id, "end_reason": reason, "end_detail": detail},
    )
