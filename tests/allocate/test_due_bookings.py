"""Bookings that are due begin by themselves, or were given back; nobody is in their way."""

from hwprovisioner.allocate.policy import Policy
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import (
    ALLOCATION_STATE_BOOKED,
    ALLOCATION_STATE_ENDED,
    END_REASON_CANCELLED,
)
from support.asking import HOLDER_KEY, LIMIT_S, asking, watching
from support.fake_manager import machine, manager
from support.reserving import HOUR_S, book, booking, release
from support.services import Running, allocate

MINUTE_S = 60


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
