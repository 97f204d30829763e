"""What people do with resources, and with what is allocated: drain, quarantine, keep, give back."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from hwprovisioner.client import request as requests
from hwprovisioner.client.durations import Span, to_timedelta
from hwprovisioner.client.errors import BadDemand
from hwprovisioner.client.lookup import Lookup
from hwprovisioner.client.moments import Moment, local_now, to_datetime
from hwprovisioner.v1 import allocate_service_pb2 as pb

if TYPE_CHECKING:
    from hwprovisioner.v1.allocation_pb2 import Allocation
    from hwprovisioner.v1.resource_pb2 import Resource


class Upkeep(Lookup):
    """Looks after what there is. An operator that is not named is the user of this process."""

    async def drain_resource(
        self,
        name: str,
        reason: str = "",
        operator: str = "",
        *,
        deadline: Moment | Span | None = None,
        at_once: bool = False,
    ) -> Resource:
        """Takes a resource out of service: nothing new is granted; when it is free, maintenance.

        Args:
            name: Which one.
            reason: Why, for people to read.
            operator: Who says so.
            deadline: When what holds it is ended, REVOKED: a moment as in `book`, or a span of time
                from now. Holders are told by their heartbeats. None: it may stay.
            at_once: Whether what holds it is ended now, without notice.

        Raises:
            BadDemand: The deadline cannot be read, or is over.
        """
        message = pb.DrainResourceRequest(
            name=name, reason=reason, operator=_who(operator), at_once=at_once
        )
        if deadline is not None:
            message.deadline.CopyFrom(_timestamp(deadline, local_now()))
        stub = self._channels().allocate
        return (await self._call(lambda t: stub.DrainResource(message, timeout=t))).resource

    async def enable_resource(self, name: str, operator: str = "") -> Resource:
        """Puts a resource back into service, drained or quarantined.

        One that was not healthy is lent again once its manager has found it well.
        """
        message = pb.EnableResourceRequest(name=name, operator=_who(operator))
        stub = self._channels().allocate
        return (await self._call(lambda t: stub.EnableResource(message, timeout=t))).resource

    async def quarantine_resource(
        self, name: str, reason: str = "", operator: str = ""
    ) -> Resource:
        """Lends a resource no more until a person enables it. What holds it may stay."""
        message = pb.QuarantineResourceRequest(name=name, reason=reason, operator=_who(operator))
        stub = self._channels().allocate
        return (await self._call(lambda t: stub.QuarantineResource(message, timeout=t))).resource

    async def keep(self, allocation_id: str, token: str, duration: Span | None) -> Allocation:
        """Keeps an allocation as it is, for a look at what went wrong.

        Until then neither a release nor missing heartbeats end it; all else still does.

        Args:
            allocation_id: Which one; it must be ready.
            token: Its secret.
            duration: For how long from now, as far as the policy allows; None: no longer.

        Raises:
            BadDemand: The duration cannot be read.
        """
        span = Duration() if duration is None else requests.to_duration(duration, "duration")
        message = pb.KeepAllocationRequest(allocation_id=allocation_id, token=token, duration=span)
        stub = self._channels().allocate
        return (await self._call(lambda t: stub.KeepAllocation(message, timeout=t))).allocation

    async def release(self, allocation_id: str, token: str, *, at_once: bool = False) -> Allocation:
        """Gives an allocation back. Releasing what has ended changes nothing.

        One that is kept goes on until that is over, unless it is to end `at_once`.
        """
        message = pb.ReleaseAllocationRequest(
            allocation_id=allocation_id, token=token, at_once=at_once
        )
        stub = self._channels().allocate
        return (await self._call(lambda t: stub.ReleaseAllocation(message, timeout=t))).allocation


def _who(operator: str) -> str:
    return operator or requests.this_process().user


def _timestamp(deadline: Moment | Span, now: datetime) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(_moment(deadline, now))
    return found


def _moment(deadline: Moment | Span, now: datetime) -> datetime:
    if isinstance(deadline, datetime):
        return to_datetime(deadline, "deadline", now)
    try:
        return now + to_timedelta(deadline, "deadline")
    except BadDemand:
        if not isinstance(deadline, str):
            raise
        # What is wrong with it tells of spans, too.
        return to_datetime(deadline, "deadline", now)
