"""What is booked gets something else when that is out of service, or waits for it."""

from hwprovisioner.v1 import allocate_service_pb2 as pb
from support.asking import LIMIT_S, asking, wanting, watching
from support.eventually import eventually
from support.fake_manager import machine, manager
from support.refusals import refusal
from support.reserving import HOUR_S, book, booking, release, reserved
from support.services import Running


async def turn(service: Running, name: str, *, on: bool) -> None:
    if on:
        await service.stub.EnableResource(pb.EnableResourceRequest(name=name), timeout=LIMIT_S)
    else:
        await service.stub.DrainResource(pb.DrainResourceRequest(name=name), timeout=LIMIT_S)


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
