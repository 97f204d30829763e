"""Reading requests for hardware: what is in order becomes values, the rest is refused by field."""

from dataclasses import dataclass

from hwprovisioner.allocate.demand import SetDemand
from hwprovisioner.allocate.set_demands import set_demand
from hwprovisioner.allocate.ssh_keys import public_key
from hwprovisioner.allocate.violations import Violations, span
from hwprovisioner.v1 import allocate_service_pb2, allocation_pb2

MAX_PRIORITY = 100
MIN_REQUEST_ID = 16
MAX_REQUEST_ID = 128
DEFAULT_TTL_MS = 30_000
_SECOND_MS = 1000
_DAY_MS = 86_400_000
MIN_BOOKING_MS = 60_000
MAX_BOOKING_MS = 30 * _DAY_MS


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for hardware that is in order."""

    demands: SetDemand
    request_id: str
    priority: int
    ttl_ms: int
    wait_ms: int
    max_ms: int
    ssh_public_key: str


@dataclass(frozen=True, slots=True)
class AskedBooking:
    """A request to book hardware that is in order by itself; when it begins is for the lab."""

    demands: SetDemand
    request_id: str
    ttl_ms: int
    from_ms: int
    """Since the epoch, as `until_ms`."""
    until_ms: int
    ssh_public_key: str


def read_request(request: allocate_service_pb2.AllocateRequest) -> Asked:
    """Read a request for hardware, or refuse it."""
    violations = Violations()
    _check_request_id(request.request_id, violations)
    _check_requestor(request.requestor, violations)
    asked = Asked(
        set_demand("demands", request.demands, violations),
        request.request_id,
        violations.number("priority", request.priority, -MAX_PRIORITY, MAX_PRIORITY),
        _ttl_ms(request, violations),
        _optional_ms(request, "wait_timeout", violations),
        _optional_ms(request, "max_duration", violations),
        public_key("ssh_public_key", request.ssh_public_key, violations),
    )
    violations.check()
    return asked


def read_booking(request: allocate_service_pb2.BookRequest) -> AskedBooking:
    """Read a request to book hardware, or refuse it. Whether its time is over is not looked at."""
    violations = Violations()
    _check_request_id(request.request_id, violations)
    _check_requestor(request.requestor, violations)
    demands = set_demand("demands", request.demands, violations)
    ttl_ms = _ttl_ms(request, violations)
    from_ms, until_ms = _times(request, violations)
    key = public_key("ssh_public_key", request.ssh_public_key, violations)
    violations.check()
    return AskedBooking(demands, request.request_id, ttl_ms, from_ms, until_ms, key)


def _check_request_id(request_id: str, violations: Violations) -> None:
    if not request_id:
        return
    length = len(violations.text("request_id", request_id, MAX_REQUEST_ID))
    if length < MIN_REQUEST_ID:
        violations.add(
            "request_id",
            f"has {length} characters: make it at least {MIN_REQUEST_ID} that nobody can"
            " guess, such as a UUID4",
        )


def _check_requestor(requestor: allocation_pb2.Requestor, violations: Violations) -> None:
    for descriptor, value in requestor.ListFields():
        violations.text(f"requestor.{descriptor.name}", value)


def _ttl_ms(
    request: allocate_service_pb2.AllocateRequest | allocate_service_pb2.BookRequest,
    violations: Violations,
) -> int:
    if not request.HasField("lease_ttl"):
        return DEFAULT_TTL_MS
    return violations.duration_ms("lease_ttl", request.lease_ttl, _SECOND_MS, _DAY_MS)


def _optional_ms(
    request: allocate_service_pb2.AllocateRequest, field: str, violations: Violations
) -> int:
    """Return how long something may take, 0 if that was not said."""
    if not request.HasField(field):  # type: ignore[arg-type]
        return 0
    return violations.duration_ms(field, getattr(request, field), 1, 30 * _DAY_MS)


def _times(request: allocate_service_pb2.BookRequest, violations: Violations) -> tuple[int, int]:
    """Return from when and until when a booking is."""
    for field, what in (("start_time", "begins"), ("end_time", "ends")):
        if not request.HasField(field):  # type: ignore[arg-type]
            violations.add(field, f"is not set: say when the booking {what}")
    from_ms = violations.instant_ms("start_time", request.start_time)
    until_ms = violations.instant_ms("end_time", request.end_time)
    if violations.of("start_time"):
        return from_ms, until_ms
    if not MIN_BOOKING_MS <= until_ms - from_ms <= MAX_BOOKING_MS:
        violations.add(
            "end_time",
            f"is {(until_ms - from_ms) / _SECOND_MS:,g} s after start_time, must be from"
            f" {span(MIN_BOOKING_MS)} to {span(MAX_BOOKING_MS)} after it",
        )
    return from_ms, until_ms
