"""Managers that go away: what they lend goes on, is lost, or is there when they come back."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1 import resource_pb2
from support.asking import LIMIT_S, asking, resource
from support.eventually import eventually
from support.fake_manager import Manager, ignore, machine, manager, serve_at_once
from support.refusals import refusal_of
from support.registering import presence, register
from support.services import Running, allocate


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
