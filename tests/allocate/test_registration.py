"""Resource managers that come, go, come back, and say things that cannot be."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1 import resource_pb2
from support.asking import LIMIT_S, asking, resource, wanting
from support.eventually import eventually
from support.fake_manager import Manager, ignore, machine, manager, serve_at_once, until_known
from support.refusals import Refusal, refusal, refusal_of
from support.services import Running, allocate


async def refused(service: Running, *messages: stream.SubscribeRequest) -> Refusal:
    """Say something on a new stream, and return how the stream ended."""
    call = service.stub.Subscribe()
    for message in messages:
        await call.write(message)

    async def read_all() -> None:
        while await call.read() is not grpc.aio.EOF:
            pass

    async with asyncio.timeout(LIMIT_S):
        return await refusal(read_all())


def register(**fields: Any) -> stream.SubscribeRequest:
    return stream.SubscribeRequest(register=stream.Register(**{"manager_id": "m", **fields}))


async def listed(service: Running, manager_id: str = "") -> dict[str, resource_pb2.Resource]:
    request = pb.ListResourcesRequest(manager=manager_id)
    response = await service.stub.ListResources(request, timeout=LIMIT_S)
    return {each.spec.name: each for each in response.resources}


async def presence(service: Running, manager_id: str) -> int:
    response = await service.stub.ListManagers(pb.ListManagersRequest(), timeout=LIMIT_S)
    [found] = [each.presence for each in response.managers if each.id == manager_id]
    return int(found)


def held_with(**share: Any) -> stream.HeldHold:
    hold = stream.HoldRef(hold_id="r.1", fence=1)
    return stream.HeldHold(hold=hold, share=resource_pb2.Share(**share))


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"manager_id": ""}, ["register.manager_id"]),
        ({"manager_id": "No Spaces"}, ["register.manager_id"]),
        ({"version": "v" * 200}, ["register.version"]),
        (
            {"inventory": [machine("a"), machine("a"), machine("B", cpus=-1)]},
            [
                "register.inventory[1].name",
                "register.inventory[2].name",
                "register.inventory[2].cpus",
            ],
        ),
        ({"inventory": [machine("a", kind=0)]}, ["register.inventory[0].kind"]),
        ({"inventory": [machine("r")] * 10_001}, ["register.inventory"]),
        (
            {"holds": [stream.HeldHold(hold=stream.HoldRef(hold_id="r.1"))] * 20_001},
            ["register.holds"],
        ),
        (
            {"holds": [stream.HeldHold(hold=stream.HoldRef(hold_id="../etc"))]},
            ["register.holds[0].hold.hold_id"],
        ),
        (
            {"cleaned": [stream.HoldRef(hold_id="r.1")] * 1_001},
            ["register.cleaned"],
        ),
        ({"cleaned": [stream.HoldRef(hold_id="r")]}, ["register.cleaned[0].hold_id"]),
        ({"fences": {"a": -1}}, ["register.fences['a']"]),
        ({"fences": {"a": 2**53 + 1}}, ["register.fences['a']"]),
        (
            {"holds": [held_with(cpus=-1, memory_bytes=2**60), held_with(gpus=[1, 1])]},
            [
                "register.holds[0].share.cpus",
                "register.holds[0].share.memory_bytes",
                "register.holds[1].share.gpus",
            ],
        ),
        ({"holds": [held_with(gpus=[-1])]}, ["register.holds[0].share.gpus"]),
    ],
)
async def test_a_registration_with_rubbish_names_the_fields_and_changes_nothing(
    service: Running, fields: dict[str, Any], wrong: list[str]
) -> None:
    async with manager(service.stub, "good", [machine("ok")]), asking(service.stub) as asked:
        answer = await refused(service, register(**fields))
        assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")
        assert answer.fields == wrong
        assert set(await listed(service)) == {"ok"}
        await asked.until("ready")


@pytest.mark.parametrize(
    "messages",
    [
        [stream.SubscribeRequest(pong=stream.Pong())],
        [stream.SubscribeRequest()],
        [stream.SubscribeRequest(volunteer=stream.Volunteer(spec=machine("a")))],
        [register(), register()],
        [register(), stream.SubscribeRequest()],
    ],
)
async def test_messages_out_of_order_end_the_stream(
    service: Running, messages: list[stream.SubscribeRequest]
) -> None:
    answer = await refused(service, *messages)
    assert (answer.code, answer.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["event"])


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


async def test_a_manager_that_is_away_lends_nothing_and_what_runs_goes_on(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a"), machine("b")]) as agent:
        async with asking(service.stub) as running:
            await running.until("ready")
            agent.cut()
            await agent.status()
            await eventually(lambda: is_disconnected(service, "b"))
            async with asking(service.stub) as waiting:
                await waiting.waits_for("its manager m is disconnected")
                get = pb.GetAllocationRequest(allocation_id=running.id)
                assert (await service.stub.GetAllocation(get)).allocation.state == 3
                held = [h.hold for h in running.allocation.hosts.values()]
                journal = [
                    stream.HeldHold(hold=stream.HoldRef(hold_id=h.id, fence=h.fence), state=h.state)
                    for h in held
                ]
                async with manager(
                    service.stub, "m", [machine("a"), machine("b")], holds=journal
                ) as back:
                    await waiting.until("ready")
                    assert not [m for m in back.heard if m.HasField("release")]
                    await running.release()
                    assert await running.ended() == "RELEASED"


async def is_disconnected(service: Running, name: str) -> bool:
    return (await resource(service.stub, name)).presence == resource_pb2.PRESENCE_DISCONNECTED


@contextlib.asynccontextmanager
async def left_with_a_hold(service: Running) -> AsyncIterator[tuple[Manager, Any]]:
    """A manager that was cut while its only machine was used."""
    async with manager(service.stub, "m", [machine("a")]) as agent, asking(service.stub) as asked:
        await asked.until("ready")
        agent.cut()
        yield agent, asked


async def test_what_a_manager_comes_back_without_was_lost(service: Running) -> None:
    async with left_with_a_hold(service) as (_, asked):
        async with manager(service.stub, "m", [machine("a")]) as back:
            assert await asked.ended() == "RESOURCE_LOST"
            assert "came back without it" in asked.allocation.end_detail
            await back.hear("release")


async def test_what_the_lab_does_not_know_is_refused_when_a_manager_comes_back(
    service: Running,
) -> None:
    async with left_with_a_hold(service) as (_, asked):
        theirs = asked.allocation.hosts["host"].hold
        names = [("a.77", 77), (theirs.id, theirs.fence)]
        journal = [
            stream.HeldHold(hold=stream.HoldRef(hold_id=name, fence=fence)) for name, fence in names
        ]
        async with manager(service.stub, "other", [], holds=journal) as other:
            unknown = {(await other.hear("refused")).hold_id for _ in names}
            assert unknown == {"a.77", theirs.id}


async def test_an_offer_is_sent_again_to_a_manager_that_comes_back(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")], policy=ignore) as agent:
        async with asking(service.stub) as asked:
            first = await agent.hear("offer")
            agent.cut()
            async with manager(service.stub, "m", [machine("a")], policy=ignore) as back:
                again = await back.hear("offer")
                assert again == first
                await serve_at_once(back, again)
                await asked.until("ready")


async def test_when_a_manager_is_lost_what_ran_there_ends_and_is_cleaned_when_it_is_back(
    redis_url: str,
) -> None:
    async with allocate(redis_url, lost_ms=100) as service:
        async with left_with_a_hold(service) as (_, asked):
            assert await asked.ended() == "RESOURCE_LOST"
            assert (await resource(service.stub, "a")).presence == resource_pb2.PRESENCE_LOST
            async with manager(service.stub, "m", [machine("a")]) as back:
                await back.hear("release")
                async with asking(service.stub) as again:
                    await again.until("ready")


async def test_a_manager_that_closes_its_side_is_told_what_was_refused_and_is_gone_at_once(
    redis_url: str,
) -> None:
    # More than are committed at once; and silence would be noticed long after the test.
    names = {f"a.{n}" for n in range(100)}
    async with allocate(redis_url, silence_ms=600_000) as service:
        call = service.stub.Subscribe()
        await call.write(register(inventory=[machine("a")]))
        for name in names:
            ref = stream.HoldRef(hold_id=name, fence=1)
            await call.write(stream.SubscribeRequest(accept=stream.Accept(hold=ref)))
        await call.done_writing()
        refusals = []
        async with asyncio.timeout(LIMIT_S):
            while (message := await call.read()) is not grpc.aio.EOF:
                if message.HasField("refused"):
                    refusals.append((message.refused.hold_id, message.refused.reason))
            assert await call.code() is grpc.StatusCode.OK
        assert sorted(refusals) == sorted((name, "NO_SUCH_HOLD") for name in names)
        await eventually(lambda: is_disconnected(service, "a"))
        assert await presence(service, "m") == resource_pb2.PRESENCE_DISCONNECTED


async def test_a_manager_that_answers_no_pings_is_taken_for_away(redis_url: str) -> None:
    async with allocate(redis_url, silence_ms=150) as service:
        async with manager(service.stub, "chatty", [machine("b")]):
            async with manager(service.stub, "mute", [machine("a")]) as mute:
                mute.pongs = False
                error = await mute.status()
                assert error is not None
                assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                assert refusal_of(error).reason == "MANAGER_SILENT"
                await eventually(lambda: is_disconnected(service, "a"))
                assert await presence(service, "chatty") == resource_pb2.PRESENCE_ONLINE
