"""Booking, and what is reserved then."""

import json
import uuid
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import Requestor
from hwprovisioner.v1.demand_pb2 import Demands
from support.asking import LIMIT_S, seconds, wanting
from support.services import Running

HOUR_S = 3600
EDGE = wanting(edge={"cpus": "4"})


async def lab_now_s(redis_url: str) -> float:
    async with Link(redis_url) as link:
        whole, micro = await link.call("TIME")
    return int(whole) + int(micro) / 1_000_000


async def booking(
    redis_url: str,
    demands: Demands = EDGE,
    *,
    in_s: float,
    for_s: float = HOUR_S,
    user: str = "ann",
    **more: Any,
) -> pb.BookRequest:
    """Return a request to book; durations are in s."""
    start_s = await lab_now_s(redis_url) + in_s
    if "lease_ttl" in more:
        more["lease_ttl"] = seconds(more["lease_ttl"])
    return pb.BookRequest(
        demands=demands,
        request_id=str(uuid.uuid4()),
        requestor=Requestor(user=user),
        start_time=instant(start_s),
        end_time=instant(start_s + for_s),
        **more,
    )


def instant(at_s: float) -> Timestamp:
    found = Timestamp()
    found.FromMilliseconds(round(at_s * 1000))
    return found


async def book(service: Running, request: pb.BookRequest) -> pb.BookResponse:
    response: pb.BookResponse = await service.stub.Book(request, timeout=LIMIT_S)
    return response


async def release(service: Running, made: pb.BookResponse) -> int:
    request = pb.ReleaseAllocationRequest(allocation_id=made.allocation.id, token=made.token)
    released = await service.stub.ReleaseAllocation(request, timeout=LIMIT_S)
    reason: int = released.allocation.end_reason
    return reason


async def reserved(redis_url: str, made: pb.BookResponse) -> list[str]:
    """Return the resources that a booking reserves."""
    async with Link(redis_url) as link:
        text = await link.call("HGET", Keys().allocation(made.allocation.id), "reservation")
    return sorted(place["resource"] for place in json.loads(text).values())
