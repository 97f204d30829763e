"""Bookings: hardware from a time to a time, taken up when its time has come."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from hwprovisioner.client.durations import Span, to_timedelta
from hwprovisioner.client.errors import BadDemand
from hwprovisioner.client.follow import Claim
from hwprovisioner.client.holder_key import HolderKey
from hwprovisioner.client.moments import Moment, to_datetime
from hwprovisioner.client.request import to_duration
from hwprovisioner.v1.allocate_service_pb2 import BookRequest, BookResponse
from hwprovisioner.v1.allocation_pb2 import Allocation, Requestor
from hwprovisioner.v1.demand_pb2 import Demands


@dataclass(frozen=True, slots=True)
class Booking:
    """A booked set of hosts. `lab.attach(booking.allocation_id, booking.token)` takes it up."""

    allocation_id: str
    """Unique in the lab for ever."""
    token: str = field(repr=False)
    """The secret to take it up, or to cancel it by a release."""
    start: datetime
    """From when, in UTC by the lab's clock."""
    end: datetime
    """Until when; what is left of it ends then."""
    allocation: Allocation = field(repr=False)
    """The whole of it, as the lab answered."""


def build(
    demands: Demands,
    *,
    start: Moment,
    end: Moment | None,
    duration: Span | None,
    lease_ttl: Span | None,
    request_id: str | None,
    requestor: Requestor,
    key: HolderKey,
    now: datetime,
) -> BookRequest:
    """Builds the request, with a request id of its own if none is given.

    Raises:
        BadDemand: A moment or a span of time is wrong, or it is not clear when the booking ends.
    """
    begins = to_datetime(start, "start", now)
    ends = _end(begins, end, duration)
    if ends <= begins:
        raise BadDemand(
            f"end: {ends.isoformat()} is not after the start, {begins.isoformat()}",
            reason="BAD_MOMENT",
            metadata={"start": begins.isoformat(), "end": ends.isoformat()},
        )
    return BookRequest(
        demands=demands,
        request_id=request_id or str(uuid.uuid4()),
        requestor=requestor,
        start_time=_timestamp(begins),
        end_time=_timestamp(ends),
        lease_ttl=to_duration(lease_ttl, "lease_ttl"),
        ssh_public_key=key.public,
    )


def read(response: BookResponse) -> Booking:
    """Reads what the lab has booked."""
    allocation = response.allocation
    return Booking(
        allocation.id,
        response.token,
        allocation.book_start_time.ToDatetime(UTC),
        allocation.book_end_time.ToDatetime(UTC),
        allocation,
    )


def claim(allocation_id: str, token: str) -> Claim:
    """Makes the claim to an allocation that is there already.

    Raises:
        BadDemand: The id or the token is missing.
    """
    for name, said in (("allocation_id", allocation_id), ("token", token)):
        if not said:
            raise BadDemand(
                f"{name}: it is empty; id and token are those that the lab gave with the booking"
                " or the allocation",
                reason="BAD_CLAIM",
                metadata={"field": name},
            )
    return Claim(allocation_id, token)


def _end(begins: datetime, end: Moment | None, duration: Span | None) -> datetime:
    if (end is None) == (duration is None):
        raise BadDemand(
            "a booking needs either an end or a duration"
            + (", not both" if end is not None else ", such as duration='2h'"),
            reason="BAD_MOMENT",
        )
    if duration is not None:
        return begins + to_timedelta(duration, "duration")
    assert end is not None
    return to_datetime(end, "end", begins)


def _timestamp(moment: datetime) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(moment.astimezone(UTC))
    return found
