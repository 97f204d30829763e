"""How allocations are had and how they end, as whoever asked sees it."""

import pytest

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1.allocation_pb2 import ALLOCATION_STATE_ENDED, END_REASON_CANCELLED
from support.asking import asking, is_free, new_request, resource, wanting
from support.eventually import eventually
from support.fake_manager import card, hypervisor, ignore, machine, manager, talk
from support.refusals import refusal
from support.services import Running, allocate


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
        await eventually(lambda: is_free(service.stub, "a"))


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
        await eventually(lambda: is_free(service.stub, "a"))


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
