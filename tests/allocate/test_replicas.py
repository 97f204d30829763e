"""Two replicas of Allocate on one Redis."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import manager_stream_pb2 as stream
from support.asking import asking, new_request, resource, watching
from support.eventually import eventually
from support.fake_manager import machine, manager
from support.services import Running, allocate


@dataclass(frozen=True, slots=True)
class Pair:
    """The first was there first, and schedules."""

    first: Running
    second: Running


@pytest.fixture
async def pair(redis_url: str) -> AsyncIterator[Pair]:
    async with allocate(redis_url) as first:
        await eventually(lambda: first.allocate.scheduler.elected)
        async with allocate(redis_url) as second:
            yield Pair(first, second)


async def test_one_replica_schedules_for_what_is_submitted_and_offered_at_the_other(
    pair: Pair,
) -> None:
    assert not pair.second.allocate.scheduler.elected
    async with manager(pair.second.stub, "m", [machine("a")]):
        async with asking(pair.second.stub) as there:
            await there.until("ready")
        async with asking(pair.first.stub, priority=-1) as here:
            assert here.events == ["queued"]
            await there.release()
            await here.until("ready")


async def test_what_one_replica_has_just_written_is_known_at_the_other(pair: Pair) -> None:
    async with manager(pair.first.stub, "m", [machine("a")]):
        for _ in range(20):
            request = new_request()
            async with asking(pair.first.stub, request) as asked:
                async with asking(pair.second.stub, request) as again:
                    assert (again.id, again.token) == (asked.id, asked.token)
                async with watching(pair.second.stub, asked.id, asked.token) as watcher:
                    assert watcher.id == asked.id
                release = pb.ReleaseAllocationRequest(allocation_id=asked.id, token=asked.token)
                ended = (await pair.second.stub.ReleaseAllocation(release)).allocation
                get = pb.GetAllocationRequest(allocation_id=asked.id)
                assert (await pair.second.stub.GetAllocation(get)).allocation.state == ended.state


async def test_a_manager_that_moves_to_the_other_replica_keeps_what_it_has(pair: Pair) -> None:
    async with manager(pair.first.stub, "m", [machine("a")]) as agent:
        async with asking(pair.first.stub) as asked:
            await asked.until("ready")
            held = asked.allocation.hosts["host"].hold
            holds = [stream.HeldHold(hold=stream.HoldRef(hold_id=held.id, fence=held.fence))]
            async with manager(pair.second.stub, "m", [machine("a")], holds=holds) as moved:
                await agent.status()
                await asked.release()
                await moved.hear("release")
                assert await asked.ended() == "RELEASED"


async def test_when_the_scheduling_replica_stops_the_other_takes_over(pair: Pair) -> None:
    async with manager(pair.second.stub, "m", [machine("a")]):
        pair.first.stopping.set()
        await eventually(lambda: pair.second.allocate.scheduler.elected)
        async with asking(pair.second.stub) as asked:
            await asked.until("ready")


async def test_no_resource_is_given_out_twice_whoever_is_asked(pair: Pair) -> None:
    machines = [machine(f"r{n}") for n in range(3)]
    used: set[str] = set()

    async def use(service: Running) -> None:
        async with asking(service.stub) as asked:
            await asked.until("ready")
            name = asked.allocation.hosts["host"].hold.resource
            assert name not in used
            used.add(name)
            await resource(service.stub, name)
            used.remove(name)
            await asked.release()

    async with (
        manager(pair.first.stub, "m", machines[:2]) as one,
        manager(pair.second.stub, "n", machines[2:]) as two,
    ):
        both = (pair.first, pair.second)
        await asyncio.gather(*(use(both[n % 2]) for n in range(30)))
        offers = one.uses.total() + two.uses.total()
        assert offers == 30
