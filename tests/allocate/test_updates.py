"""What is told of an allocation: in order, in time, and to whom."""

import asyncio
from typing import Any

import pytest

from hwprovisioner.serving.unread import Writing
from hwprovisioner.state import resp
from hwprovisioner.state.grants import Grants
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.scripts import script
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import ALLOCATION_STATE_ENDED
from support.asking import asking, new_request, wanting, watching
from support.fake_manager import ignore, machine, manager, talk
from support.refusals import refusal
from support.services import Running


async def test_updates_come_in_order_with_progress(service: Running) -> None:
    async with (
        manager(service.stub, "m", [machine("a")], policy=talk),
        asking(service.stub, wanting(db={"cpus": "4"})) as asked,
    ):
        await asked.until("ready")
        assert list(dict.fromkeys(asked.events)) == ["preparing", "ready"]
        lines = [u.preparing.message for u in asked.updates if u.preparing.message]
        assert lines == ["booting", "booted"]
        await asked.release()
        assert await asked.ended() == "RELEASED"
        assert not asked.allocation.hosts
        assert not asked.allocation.HasField("remaining_lease")


async def test_what_is_granted_at_once_is_told_by_its_grant(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    grant = script("grant").sha.encode()
    to_redis, to_client = resp.Connection._write, Writing.write

    def write_to_redis(connection: resp.Connection) -> None:
        if any(grant in command for command in connection._unwritten):
            order.append("grant")
        to_redis(connection)

    async def write_to_client(writing: Writing, context: Any, response: Any) -> None:
        if isinstance(response, pb.AllocateResponse):
            order.append(str(response.update.WhichOneof("event")))
        await to_client(writing, context, response)

    monkeypatch.setattr(resp.Connection, "_write", write_to_redis)
    monkeypatch.setattr(Writing, "write", write_to_client)
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as asked:
        await asked.until("ready")
    assert order[:3] == ["grant", "preparing", "ready"]


async def test_a_request_whose_grant_takes_long_is_told_that_it_is_queued(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_grant = asyncio.Event()
    grant = Grants.grant

    async def slow(grants: Grants, *args: Any, **more: Any) -> int:
        await may_grant.wait()
        return await grant(grants, *args, **more)

    monkeypatch.setattr(Grants, "grant", slow)
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as asked:
        assert asked.token
        assert asked.updates[0].queued.reason == "its turn: it is being granted"
        may_grant.set()
        await asked.until("ready")
        assert asked.events == ["queued", "preparing", "ready"]


async def test_what_is_ready_has_its_connection_and_a_lease(service: Running) -> None:
    async with (
        manager(service.stub, "m", [machine("a")], policy=talk),
        asking(service.stub, wanting(db={"cpus": "4"}), lease_ttl=30) as asked,
    ):
        ready = await asked.until("ready")
        host = ready.allocation.hosts["db"]
        assert (host.hold.resource, host.connection.address) == ("a", "10.0.0.1")
        assert host.spec == machine("a")
        assert 25_000 < ready.ready.remaining_lease.ToMilliseconds() <= 30_000
        assert ready.allocation.ready_time.ToMilliseconds() > 0


async def test_the_token_comes_with_the_first_response_only(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        tokens = []
        async for response in service.stub.Allocate(new_request()):
            tokens.append(response.token)
            if response.update.HasField("ready"):
                break
        assert tokens[0]
        assert not any(tokens[1:])


async def test_nothing_is_asked_about_the_lease_of_what_has_ended(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as asked:
        await asked.until("ready")
        monkeypatch.setattr(Reader, "remaining_ms", None)
        released = await asked.release()
        assert released.state == ALLOCATION_STATE_ENDED
        assert not released.HasField("remaining_lease")


async def test_a_wrong_token_and_an_unknown_id_are_refused(service: Running) -> None:
    stub = service.stub
    async with manager(stub, "m", [machine("a")]), asking(stub) as asked:
        wrong: dict[str, Any] = {"allocation_id": asked.id, "token": "not-it"}
        for call in (
            stub.ReleaseAllocation(pb.ReleaseAllocationRequest(**wrong)),
            stub.GetAllocation(pb.GetAllocationRequest(**wrong)),
            stub.WatchAllocation(pb.WatchAllocationRequest(**wrong)).read(),
        ):
            assert (await refusal(call)).reason == "WRONG_TOKEN"
        unknown: dict[str, Any] = {"allocation_id": "never-was", "token": "x"}
        for call in (
            stub.ReleaseAllocation(pb.ReleaseAllocationRequest(**unknown)),
            stub.GetAllocation(pb.GetAllocationRequest(**unknown)),
            stub.GetAllocation(pb.GetAllocationRequest(allocation_id="never-was")),
            stub.WatchAllocation(pb.WatchAllocationRequest(**unknown)).read(),
        ):
            assert (await refusal(call)).reason == "NO_SUCH_ALLOCATION"
        no_token = pb.ReleaseAllocationRequest(allocation_id=asked.id)
        assert (await refusal(stub.ReleaseAllocation(no_token))).fields == ["token"]
        no_id = pb.GetAllocationRequest()
        assert (await refusal(stub.GetAllocation(no_id))).fields == ["allocation_id"]


async def test_connections_are_told_only_to_who_has_the_token(service: Running) -> None:
    stub = service.stub
    async with manager(stub, "m", [machine("a")]), asking(stub) as asked:
        await asked.until("ready")
        async with (
            watching(stub, asked.id) as stranger,
            watching(stub, asked.id, asked.token) as own,
        ):
            assert stranger.events == own.events == ["ready"]
            assert not stranger.allocation.hosts["host"].HasField("connection")
            assert own.allocation.hosts["host"].connection.address == "a.lab"
        shown = (
            await stub.GetAllocation(pb.GetAllocationRequest(allocation_id=asked.id))
        ).allocation
        assert not shown.hosts["host"].HasField("connection")
        with_token = pb.GetAllocationRequest(allocation_id=asked.id, token=asked.token)
        shown = (await stub.GetAllocation(with_token)).allocation
        assert shown.hosts["host"].connection.address == "a.lab"


async def test_a_lost_stream_is_taken_up_again_by_watching(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")], policy=ignore) as agent:
        async with asking(service.stub) as asked:
            offer = await agent.hear("offer")
        async with watching(service.stub, asked.id, asked.token) as again:
            assert again.events == ["preparing"]
            await talk(agent, offer)
            await again.until("ready")
            await asked.release()
            assert await again.ended() == "RELEASED"
