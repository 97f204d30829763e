"""The request for an allocation, built from what `allocate` was given."""

from __future__ import annotations

import functools
import getpass
import os
import socket
import sys
import uuid

from google.protobuf.duration_pb2 import Duration

from hwprovisioner.client.durations import Span, to_timedelta
from hwprovisioner.client.errors import BadDemand
from hwprovisioner.client.requestor import describe
from hwprovisioner.v1.allocate_service_pb2 import AllocateRequest
from hwprovisioner.v1.allocation_pb2 import Requestor
from hwprovisioner.v1.demand_pb2 import Demands


def build(
    demands: Demands,
    *,
    priority: int,
    wait: Span | None,
    lease_ttl: Span | None,
    max_duration: Span | None,
    tolerate_maintenance: bool = False,
    request_id: str | None,
    requestor: Requestor,
) -> AllocateRequest:
    """Builds the request, with a request id of its own if none is given.

    Raises:
        BadDemand: A span of time or the priority is wrong.
    """
    if not -100 <= priority <= 100:
        raise BadDemand(
            f"priority: {priority} is out of range; write -100 to 100",
            reason="BAD_PRIORITY",
            metadata={"priority": str(priority)},
        )
    return AllocateRequest(
        demands=demands,
        request_id=request_id or str(uuid.uuid4()),
        requestor=requestor,
        priority=priority,
        lease_ttl=to_duration(lease_ttl, "lease_ttl"),
        wait_timeout=to_duration(wait, "wait"),
        max_duration=to_duration(max_duration, "max_duration"),
        tolerate_maintenance=tolerate_maintenance,
    )


@functools.cache
def this_process() -> Requestor:
    """Says who asks: the user, host, command line and CI job of this process."""
    argv = sys.orig_argv[1:] or sys.argv
    return describe(os.environ, socket.gethostname(), argv, account=_account())


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""  # a container may run as a number without a name


def to_duration(span: Span | None, name: str) -> Duration | None:
    """Brings a span of time to the contract's message; None stays None.

    Raises:
        BadDemand: It is no span of time.
    """
    if span is None:
        return None
    duration = Duration()
    duration.FromTimedelta(to_timedelta(span, name))
    return duration
