"""Bookings, as those who book and those who wait meanwhile see them."""

import asyncio
import json
import uuid
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from hwprovisioner.allocate.policy import Policy, Quota, UserPolicy
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import (
    ALLOCATION_STATE_BOOKED,
    ALLOCATION_STATE_ENDED,
    END_REASON_CANCELLED,
    Requestor,
)
from hwprovisioner.v1.demand_pb2 import Demands
from support.asking import HOLDER_KEY, LIMIT_S, asking, seconds, wanting, watching
from support.eventually import eventually
from support.fake_manager import machine, manager
from support.refusals import refusal
from support.services import Running, allocate
from support.told_lab import MINUTE_MS, NOW_MS, Records

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86_400
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


async def turn(service: Running, name: str, *, on: bool) -> None:
    if on:
        await service.stub.EnableResource(pb.EnableResourceRequest(name=name), timeout=LIMIT_S)
    else:
        await service.stub.DrainResource(pb.DrainResourceRequest(name=name), timeout=LIMIT_S)


async def test_a_booking_waits_for_its_time_and_begins_by_itself(
    redis_url: str, service: Running
) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        made = await book(service, await booking(redis_url, in_s=1))
        assert made.allocation.state == ALLOCATION_STATE_BOOKED
        async with watching(service.stub, made.allocation.id, made.token) as watched:
            assert watched.events == ["booked"]
            assert 0 < watched.updates[0].booked.remaining.ToMilliseconds() <= 1000
            ready = await watched.until("ready")
            assert ready.allocation.hosts["edge"].hold.resource == "a"
            assert ready.allocation.hosts["edge"].connection.address == "a.lab"
            # It has as long as it takes to show up, not only its lease.
            assert ready.ready.remaining_lease.ToMilliseconds() > 500_000
            assert await release(service, made)
            assert await watched.ended() == "RELEASED"


async def test_what_is_to_have_begun_a_moment_ago_begins_now_and_its_manager_has_the_holders_key(
    redis_url: str, service: Running
) -> None:
    async with manager(service.stub, "m", [machine("a")]) as agent:
        request = await booking(redis_url, in_s=-50, ssh_public_key=f"{HOLDER_KEY} ann@desk")
        made = await book(service, request)
        async with watching(service.stub, made.allocation.id) as watched:
            await watched.until("ready")
        assert (await agent.hear("offer")).ssh_public_key == f"{HOLDER_KEY} ann@desk"


@pytest.mark.parametrize(("in_s", "said"), [(-70, "s ago"), (367 * DAY_S, "367 days ahead")])
async def test_a_time_that_cannot_be_booked_is_refused(
    redis_url: str, service: Running, in_s: float, said: str
) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        refused = await refusal(book(service, await booking(redis_url, in_s=in_s + 1)))
    assert (refused.reason, refused.fields) == ("BAD_REQUEST", ["start_time"])
    assert said in refused.message


async def test_a_conflict_says_what_stands_in_the_way_of_each_host(
    redis_url: str, service: Running
) -> None:
    both = wanting(db={"cpus": "2"}, edge={"labels": ["jetson"]})
    inventory = [machine("a", labels={"jetson": ""}), machine("b")]
    async with manager(service.stub, "m", inventory):
        await book(service, await booking(redis_url, wanting(h={"resource": "a"}), in_s=HOUR_S))
        refused = await refusal(book(service, await booking(redis_url, both, in_s=HOUR_S + 60)))
        assert refused.reason == "BOOKING_CONFLICT"
        assert refused.preconditions.keys() == {"edge"}
        assert "1 resource matches: 1 is booked from " in refused.preconditions["edge"]
        assert refused.preconditions["edge"].endswith(" UTC by ann")
        # What only touches is no conflict.
        touching = await booking(redis_url, both, in_s=HOUR_S + 60)
        touching.start_time.seconds += HOUR_S
        touching.end_time.seconds += HOUR_S
        assert (await book(service, touching)).allocation.state == ALLOCATION_STATE_BOOKED


async def test_what_is_held_for_nobody_knows_how_long_cannot_be_promised(
    redis_url: str, service: Running
) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        async with asking(service.stub) as holder:
            await holder.until("ready")
            refused = await refusal(book(service, await booking(redis_url, in_s=HOUR_S)))
            assert refused.preconditions == {
                "edge": "1 resource matches: 1 is held by an allocation that does not say for how"
                " long"
            }
            await holder.release()
        async with asking(service.stub, max_duration=HOUR_S) as holder:
            await holder.until("ready")
            refused = await refusal(book(service, await booking(redis_url, in_s=MINUTE_S)))
            assert "1 is held until " in refused.preconditions["edge"]
            await book(service, await booking(redis_url, in_s=HOUR_S + MINUTE_S))


async def test_what_nothing_could_satisfy_and_what_no_quota_allows_is_not_booked(
    redis_url: str,
) -> None:
    policy = Policy(users={"ann": UserPolicy(quota=Quota(cpus=2))})
    async with (
        allocate(redis_url, policy=policy) as service,
        manager(service.stub, "m", [machine("a")]),
    ):
        request = await booking(redis_url, wanting(h={"cpus": "64"}), in_s=HOUR_S, user="bob")
        assert (await refusal(book(service, request))).reason == "UNSATISFIABLE"
        request = await booking(redis_url, in_s=HOUR_S)
        assert (await refusal(book(service, request))).reason == "QUOTA_NEVER"


async def test_the_same_request_makes_the_same_booking(redis_url: str, service: Running) -> None:
    request = await booking(redis_url, in_s=HOUR_S)
    async with manager(service.stub, "m", [machine("a")]):
        first = await book(service, request)
        again = await book(service, request)
        assert (again.allocation.id, again.token) == (first.allocation.id, first.token)
        request.end_time.seconds += 1
        assert (await refusal(book(service, request))).reason == "REQUEST_ID_REUSED"
        submitted = pb.AllocateRequest(demands=EDGE, request_id=request.request_id)
        refused = await refusal(service.stub.Allocate(submitted).read())
        assert refused.reason == "REQUEST_ID_REUSED"


async def test_a_booking_can_be_asked_for_again_when_its_time_could_not_be_booked_any_longer(
    redis_url: str, service: Running
) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        request = await booking(redis_url, in_s=-59)
        first = await book(service, request)
        late_s = request.start_time.ToMilliseconds() / 1000 + MINUTE_S

        async def is_late() -> bool:
            return await lab_now_s(redis_url) > late_s

        await eventually(is_late)
        assert (await book(service, request)).allocation.id == first.allocation.id
        request.request_id = str(uuid.uuid4())
        assert (await refusal(book(service, request))).fields == ["start_time"]


async def test_of_two_who_book_the_same_at_once_one_gets_it(
    redis_url: str, service: Running
) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        requests = [await booking(redis_url, in_s=HOUR_S) for _ in range(2)]
        outcomes = await asyncio.gather(
            *(book(service, request) for request in requests), return_exceptions=True
        )
        assert sorted(isinstance(each, pb.BookResponse) for each in outcomes) == [False, True]


async def test_nobody_is_let_in_who_would_still_be_there_and_a_cancelled_one_is_in_nobodys_way(
    redis_url: str, service: Running
) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        made = await book(service, await booking(redis_url, in_s=HOUR_S))
        async with (
            asking(service.stub) as boundless,
            asking(service.stub, max_duration=2 * HOUR_S) as too_long,
            asking(service.stub, max_duration=MINUTE_S) as short,
        ):
            # It was last, and is let in before the others.
            await short.until("ready")
            await short.release()
            assert await release(service, made) == END_REASON_CANCELLED
            for waited in (boundless, too_long):
                await waited.until("ready")
                await waited.release()


async def test_whoever_does_not_show_up_loses_what_is_booked(redis_url: str) -> None:
    async with (
        allocate(redis_url, policy=Policy(show_up_ms=1000)) as service,
        manager(service.stub, "m", [machine("a")]),
    ):
        made = await book(service, await booking(redis_url, in_s=0, lease_ttl=1))
        async with watching(service.stub, made.allocation.id) as watched:
            assert await watched.ended() == "EXPIRED"
        async with asking(service.stub) as other:
            await other.until("ready")


async def test_lists_of_bookings_leave_out_what_has_ended(redis_url: str, service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        await release(service, await book(service, await booking(redis_url, in_s=HOUR_S)))
        made = await book(service, await booking(redis_url, in_s=HOUR_S))
    async with Link(redis_url) as link:
        assert await link.call("HGET", Keys().resource("a"), "booked") == made.allocation.id


async def test_nothing_is_promised_on_what_only_gives_way() -> None:
    records = Records()
    records.holder("low", 5, holds="a.1", preempt_ms=NOW_MS + MINUTE_MS, preempted_for="urgent")
    records.machine("a", "low")
    assert [each.until_ms for each in records.lab.planner.finder.held("a")] == [0]


async def test_what_is_booked_gets_something_else_when_its_resource_is_drained(
    redis_url: str, service: Running
) -> None:
    async with manager(service.stub, "m", [machine("a"), machine("b")]):
        made = await book(service, await booking(redis_url, in_s=HOUR_S))
        [first] = await reserved(redis_url, made)
        other = {"a": "b", "b": "a"}[first]
        await turn(service, first, on=False)

        async def has_moved() -> bool:
            return await reserved(redis_url, made) == [other]

        await eventually(has_moved)
        # Now that one is promised, and nothing else can be.
        refused = await refusal(book(service, await booking(redis_url, in_s=HOUR_S)))
        assert "1 is out of service" in refused.preconditions["edge"]
        assert "1 is booked from" in refused.preconditions["edge"]


async def test_what_is_booked_moves_as_soon_as_something_else_can_be_promised(
    redis_url: str, service: Running
) -> None:
    async with manager(service.stub, "m", [machine("a"), machine("b")]):
        wants_b = wanting(host={"resource": "b"})
        async with asking(service.stub, wants_b) as holder:
            await holder.until("ready")
            made = await book(service, await booking(redis_url, in_s=HOUR_S))
            assert await reserved(redis_url, made) == ["a"]
            await turn(service, "a", on=False)
            # The holder of b does not say for how long, so there is nothing yet.
            await refusal(book(service, await booking(redis_url, in_s=HOUR_S)))
            assert await reserved(redis_url, made) == ["a"]
            await holder.release()

        async def has_moved() -> bool:
            return await reserved(redis_url, made) == ["b"]

        await eventually(has_moved)


async def test_what_nothing_else_can_be_had_for_keeps_its_place_and_waits(
    redis_url: str, service: Running
) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        made = await book(service, await booking(redis_url, in_s=1))
        await turn(service, "a", on=False)
        async with (
            asking(service.stub, max_duration=1) as before,
            watching(service.stub, made.allocation.id) as watched,
        ):
            queued = await watched.until("queued")
            assert queued.queued.place == 1
            await turn(service, "a", on=True)
            await watched.until("ready")
            assert before.events[-1] == "queued"
            await release(service, made)
            await before.until("ready")


async def test_a_booking_that_is_cancelled_before_its_time_ends_so(
    redis_url: str, service: Running
) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        made = await book(service, await booking(redis_url, in_s=HOUR_S))
        assert await release(service, made) == END_REASON_CANCELLED
        request = pb.GetAllocationRequest(allocation_id=made.allocation.id)
        shown = (await service.stub.GetAllocation(request, timeout=LIMIT_S)).allocation
        assert shown.state == ALLOCATION_STATE_ENDED
        await book(service, await booking(redis_url, in_s=HOUR_S))
