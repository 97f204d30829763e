"""An allocation's life, as whoever asked sees it."""

import asyncio
from typing import Any

import pytest

from hwprovisioner.serving.unread import Writing
from hwprovisioner.state import resp
from hwprovisioner.state.grants import Grants
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.scripts import script
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1.allocation_pb2 import ALLOCATION_STATE_ENDED, END_REASON_CANCELLED
from hwprovisioner.v1.resource_pb2 import Connection
from support.asking import asking, new_request, resource, wanting, watching
from support.eventually import eventually
from support.fake_manager import Manager, card, hypervisor, ignore, machine, manager
from support.refusals import refusal
from support.services import Running, allocate


async def talk(agent: Manager, offer: stream.Offer) -> None:
    """Accept, say two lines, be ready."""
    await agent.say(accept=stream.Accept(hold=offer.hold))
    for line in ("booting", "booted"):
        await agent.say(progress=stream.Progress(hold=offer.hold, message=line))
    await agent.say(ready=stream.Ready(hold=offer.hold, connection=Connection(address="10.0.0.1")))


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


async def test_a_release_before_ready_is_a_cancellation_and_the_hold_is_cleaned(
    service: Running,
) -> None:
    async with manager(service.stub, "m", [machine("a")], policy=ignore) as agent:
        async with (
            asking(service.stub) as first,
            asking(service.stub) as second,
        ):
            await agent.hear("offer")
            assert (await second.release()).end_reason == END_REASON_CANCELLED
            assert await second.ended() == "CANCELLED"
            await first.release()
            assert await first.ended() == "CANCELLED"
            assert (await agent.hear("release")).resource == "a"
        await eventually(lambda: is_free(service, "a"))


async def is_free(service: Running, name: str) -> bool:
    return not (await resource(service.stub, name)).holds


async def test_nothing_is_granted_again_before_it_was_cleaned(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]) as agent:
        agent.cleans = False
        async with asking(service.stub) as first, asking(service.stub) as second:
            await first.until("ready")
            await first.release()
            await first.ended()
            release = await agent.hear("release")
            assert (await resource(service.stub, "a")).holds[0].fence == release.hold.fence
            assert second.events == ["queued"]
            await agent.say(cleaned=stream.Cleaned(hold=release.hold))
            ready = await second.until("ready")
            assert ready.allocation.hosts["host"].hold.fence > release.hold.fence


async def test_releasing_what_has_ended_changes_nothing(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as asked:
        await asked.until("ready")
        once = await asked.release()
        twice = await asked.release()
        assert once == twice
        assert once.state == ALLOCATION_STATE_ENDED


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


@pytest.mark.parametrize("limit", ["wait_timeout", "max_duration"])
async def test_a_time_that_was_said_ends_it(service: Running, limit: str) -> None:
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as holder:
        await holder.until("ready")
        if limit == "max_duration":
            await holder.release()
        async with asking(service.stub, None, **{limit: 0.05}) as asked:
            reason = await asked.ended()
            assert reason == {"wait_timeout": "WAIT_TIMEOUT"}.get(limit, "MAX_DURATION")


async def test_without_heartbeats_it_expires_and_the_resource_comes_back(service: Running) -> None:
    async with (
        manager(service.stub, "m", [machine("a")]),
        asking(service.stub, lease_ttl=1) as asked,
    ):
        assert await asked.ended() == "EXPIRED"
        await eventually(lambda: is_free(service, "a"))


async def test_what_was_forgotten_is_not_found_and_its_request_id_is_new_again(
    redis_url: str,
) -> None:
    async with allocate(redis_url, retention_ms=1) as service:
        async with manager(service.stub, "m", [machine("a")]):
            request = new_request()
            async with asking(service.stub, request) as first:
                await first.release()

            async def is_forgotten() -> bool:
                listed = await service.stub.ListAllocations(pb.ListAllocationsRequest())
                return not listed.allocations

            await eventually(is_forgotten)
            get = pb.GetAllocationRequest(allocation_id=first.id)
            assert (await refusal(service.stub.GetAllocation(get))).reason == "NO_SUCH_ALLOCATION"
            async with asking(service.stub, request) as second:
                assert second.id != first.id


async def test_a_set_gets_hosts_of_several_managers_and_is_ready_with_the_last(
    service: Running,
) -> None:
    slow = manager(service.stub, "slow", [machine("board", labels={"edge": ""})], policy=ignore)
    async with manager(service.stub, "quick", [machine("a")]), slow as agent:
        demands = wanting(db={}, edge={"labels": ["edge"]})
        async with asking(service.stub, demands) as asked:
            offer = await agent.hear("offer")
            assert (offer.host, offer.resource, offer.allocation_id) == ("edge", "board", asked.id)
            assert list(offer.demand.labels) == ["edge"]
            await talk(agent, offer)
            ready = await asked.until("ready")
            resources = {name: h.hold.resource for name, h in ready.allocation.hosts.items()}
            assert resources == {"db": "a", "edge": "board"}
            assert "ready" not in asked.events[:-1]


async def test_a_divisible_resource_gives_each_its_share_and_cards(service: Running) -> None:
    spec = hypervisor("hv", instances=3, gpus=[card("a100", 40), card("t4")])
    async with manager(service.stub, "m", [spec]) as agent:
        one = wanting(vm={"cpus": "2", "memory": "4GiB", "gpus": [{"memory": "8GiB"}]})
        big = wanting(vm={"gpus": [{"model": "A100"}]})
        async with asking(service.stub, one) as first, asking(service.stub, one) as second:
            for asked in (first, second):
                await asked.until("ready")
            cards = {tuple((await agent.hear("offer")).share.gpus) for _ in range(2)}
            assert cards == {(0,), (1,)}
            share = first.allocation.hosts["vm"].hold.share
            assert (share.cpus, share.memory_bytes) == (2, 4 * 2**30)
            async with asking(service.stub, big) as third:
                await third.waits_for("vm: 1 resource matches: gpus: too few free")
                holders = {
                    tuple(a.allocation.hosts["vm"].hold.share.gpus): a for a in (first, second)
                }
                await holders[0,].release()
                assert (await third.until("ready")).allocation.hosts["vm"].hold.share.gpus == [0]


async def test_higher_priority_goes_first(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as holder:
        await holder.until("ready")
        async with asking(service.stub) as low, asking(service.stub, priority=10) as high:
            assert (low.updates[0].queued.place, high.updates[0].queued.place) == (1, 1)
            await low.until("queued", lambda queued: queued.place == 2)
            await holder.release()
            await high.until("ready")
            await low.until("queued", lambda queued: queued.place == 1)
            await high.release()
            await low.until("ready")
