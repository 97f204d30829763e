"""Booking: what is promised, once, and what stands in the way of it."""

import asyncio
import uuid

import pytest

from hwprovisioner.allocate.policy import Policy, Quota, UserPolicy
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import ALLOCATION_STATE_BOOKED
from support.asking import asking, wanting
from support.eventually import eventually
from support.fake_manager import machine, manager
from support.refusals import refusal
from support.reserving import EDGE, HOUR_S, book, booking, lab_now_s
from support.services import Running, allocate
from support.told_lab import MINUTE_MS, NOW_MS, Records

MINUTE_S = 60
DAY_S = 86_400


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


async def test_nothing_is_promised_on_what_only_gives_way() -> None:
    records = Records()
    records.holder("low", 5, holds="a.1", preempt_ms=NOW_MS + MINUTE_MS, preempted_for="urgent")
    records.machine("a", "low")
    assert [each.until_ms for each in records.lab.planner.finder.held("a")] == [0]
