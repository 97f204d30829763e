"""What a holder is told besides its lease: when to beat again, and what comes near."""

from hwprovisioner.heartbeat.beats import Alive
from hwprovisioner.v1 import heartbeat_service_pb2

#: Beats in a lease: two may get lost.
BEATS_PER_LEASE = 3
#: How far a delay may lie from its mean, so that those who began together do not go on together.
JITTER = 0.1
#: The end of the maximum duration is near when less is left than this, or than two leases.
NEAR_MS = 60_000


def next_delay_ms(ttl_ms: int, chance: float) -> int:
    """Return when to beat again: a third of the lease, jittered by `chance` (0 to 1)."""
    return round(ttl_ms / BEATS_PER_LEASE * (1 + JITTER * (2 * chance - 1)))


def notices_for(alive: Alive) -> list[heartbeat_service_pb2.Notice]:
    """Return what the holder should know."""
    notices = [_draining(name, alive.revoke_left_ms) for name in alive.draining]
    left_ms = alive.max_left_ms
    if left_ms is not None and left_ms < max(2 * alive.ttl_ms, NEAR_MS):
        kind = heartbeat_service_pb2.NOTICE_KIND_MAX_DURATION_NEAR
        notices.append(_end(kind, left_ms, "the maximum duration is over"))
    if alive.preempt_left_ms is not None:
        kind = heartbeat_service_pb2.NOTICE_KIND_PREEMPTION
        what = "it gives way to an allocation of higher priority, and ends"
        notices.append(_end(kind, alive.preempt_left_ms, what))
    return notices


def _draining(name: str, left_ms: int | None) -> heartbeat_service_pb2.Notice:
    kind, what = heartbeat_service_pb2.NOTICE_KIND_DRAINING, f"{name} is being taken out of service"
    if left_ms is None:
        return heartbeat_service_pb2.Notice(kind=kind, message=f"{what}: finish soon")
    return _end(kind, left_ms, f"{what}, and this allocation ends")


def _end(
    kind: heartbeat_service_pb2.NoticeKind.ValueType, left_ms: int, what: str
) -> heartbeat_service_pb2.Notice:
    """Return the notice of an end that is known beforehand."""
    notice = heartbeat_service_pb2.Notice(
        kind=kind, message=f"{what} in {left_ms / 1000:.0f} s: finish by then"
    )
    notice.remaining.FromMilliseconds(left_ms)
    return notice
