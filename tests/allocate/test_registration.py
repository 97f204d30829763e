"""A manager registers: what of its resources is to be had, under which names, and until when."""

import grpc
import grpc.aio

from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1 import resource_pb2
from support.asking import asking, resource, wanting
from support.eventually import eventually
from support.fake_manager import machine, manager, until_known
from support.refusals import refusal_of
from support.registering import listed, presence, refused, register
from support.services import Running, allocate


async def test_a_manager_is_told_its_epoch_and_the_limits(service: Running) -> None:
    before = 0
    for _ in range(2):
        async with manager(service.stub, "m") as agent:
            assert agent.registered is not None
            assert agent.registered.epoch > before
            before = agent.registered.epoch
            assert agent.registered.silence_limit.seconds == 15
            assert agent.registered.lost_limit.seconds == 60


async def test_nothing_is_to_be_had_before_it_is_volunteered(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")], volunteers=False) as agent:
        async with asking(service.stub) as asked:
            assert (await resource(service.stub, "a")).presence == resource_pb2.PRESENCE_WITHDRAWN
            await asked.waits_for("not volunteered it yet")
            await agent.volunteer(machine("a"))
            await asked.until("ready")


async def test_a_resource_may_be_volunteered_that_was_not_in_the_inventory(
    service: Running,
) -> None:
    async with manager(service.stub, "m") as agent:
        await agent.volunteer(machine("new"))
        await until_known(service.stub, "m", [machine("new")])


async def is_unlisted(service: Running, name: str) -> bool:
    return name not in await listed(service)


async def test_a_newer_registration_ends_the_older_stream(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]) as old:
        async with manager(service.stub, "m", [machine("a")]):
            error = await old.status()
            assert error is not None
            assert refusal_of(error).reason == "SUPERSEDED"
            assert error.code() is grpc.StatusCode.ABORTED
            async with asking(service.stub) as asked:
                await asked.until("ready")
            assert await presence(service, "m") == resource_pb2.PRESENCE_ONLINE


async def test_what_a_new_registration_does_not_name_is_gone(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a"), machine("b")]):
        pass
    async with manager(service.stub, "m", [machine("b", cpus=4), machine("c")]):
        found = await listed(service)
        assert set(found) == {"b", "c"}
        assert found["b"].spec.cpus == 4


async def test_who_waits_for_what_is_gone_for_good_is_told(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a", cpus=64), machine("b")]):
        async with (
            asking(service.stub, wanting(h={"cpus": "64"})) as holder,
            asking(service.stub, wanting(h={"cpus": "64"})) as asked,
        ):
            await holder.until("ready")
            async with manager(service.stub, "m", [machine("a"), machine("b")]):
                assert await asked.ended() == "UNSATISFIABLE"


async def test_what_is_removed_while_it_is_held_goes_when_it_was_cleaned(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]) as agent, asking(service.stub) as asked:
        await asked.until("ready")
        await agent.say(withdraw=stream.Withdraw(resource="a", reason="sold", removed=True))
        await eventually(lambda: is_withdrawn(service, "a"))
        assert asked.events[-1] == "ready"
        await asked.release()
        await eventually(lambda: is_unlisted(service, "a"))
        await agent.volunteer(machine("a"))
        async with asking(service.stub) as again:
            ready = await again.until("ready")
            old = asked.updates[-1].allocation.hosts["host"].hold.fence
            assert ready.allocation.hosts["host"].hold.fence > old


async def is_withdrawn(service: Running, name: str) -> bool:
    return (await resource(service.stub, name)).presence == resource_pb2.PRESENCE_WITHDRAWN


async def test_a_name_is_taken_until_its_manager_is_lost(redis_url: str) -> None:
    async with allocate(redis_url, lost_ms=100) as service:
        async with manager(service.stub, "old", [machine("a")]):
            answer = await refused(service, register(manager_id="new", inventory=[machine("a")]))
            assert answer.fields == ["register.inventory[0].name"]
            async with manager(service.stub, "new") as agent:
                await agent.volunteer(machine("a"))
                refused_name = await agent.hear("refused")
                assert (refused_name.reason, refused_name.resource) == ("NAME_TAKEN", "a")
        await eventually(lambda: is_lost(service, "old"))
        async with manager(service.stub, "new", [machine("a")]) as agent:
            assert (await resource(service.stub, "a")).manager == "new"


async def is_lost(service: Running, manager_id: str) -> bool:
    return await presence(service, manager_id) == resource_pb2.PRESENCE_LOST
