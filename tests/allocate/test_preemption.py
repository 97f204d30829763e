"""Giving way to those of higher priority, as holders and those who wait see it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import cast

import pytest

from hwprovisioner.allocate.giving_way import GivingWay
from hwprovisioner.allocate.pacing import Pace
from hwprovisioner.allocate.policy import Policy, Preemption, Quota, UserPolicy
from hwprovisioner.heartbeat.beats import Alive, Beat, BeatWriter
from hwprovisioner.state.grants import Grants
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import Allocation
from support.asking import LIMIT_S, Asked, asking, wanting
from support.eventually import eventually
from support.fake_manager import machine, manager
from support.services import Running, allocate
from support.told_lab import MINUTE_MS, NOW_MS, Records

SOON = Policy(preemption=Preemption(grace_ms=500))
LATER = Policy(preemption=Preemption(grace_ms=600_000))


@contextlib.asynccontextmanager
async def lab(redis_url: str, policy: Policy, *machines: str) -> AsyncIterator[Running]:
    async with (
        allocate(redis_url, policy=policy) as service,
        manager(service.stub, "m", [machine(name) for name in machines]),
    ):
        yield service


async def shown(service: Running, asked: Asked) -> Allocation:
    request = pb.GetAllocationRequest(allocation_id=asked.id)
    found: Allocation = (await service.stub.GetAllocation(request, timeout=LIMIT_S)).allocation
    return found


def gives_way(service: Running, asked: Asked) -> Callable[[], object]:
    async def check() -> bool:
        return (await shown(service, asked)).HasField("preempt_time")

    return check


async def test_the_lower_priority_gives_way_and_who_waits_gets_what_it_had(redis_url: str) -> None:
    async with (
        lab(redis_url, SOON, "a", "b") as service,
        asking(service.stub, priority=5) as middle,
        asking(service.stub, priority=0) as low,
    ):
        for holder in (middle, low):
            await holder.until("ready")
        async with (
            asking(service.stub, priority=0) as other,
            asking(service.stub, priority=9) as urgent,
        ):
            assert await low.ended() == "PREEMPTED"
            assert low.allocation.end_detail.startswith(f"it gave way to allocation {urgent.id}")
            await urgent.until("ready")
            assert other.events[-1] == "queued"
            assert not (await shown(service, middle)).HasField("preempt_time")


async def test_the_holder_is_told_by_its_heartbeats(redis_url: str) -> None:
    async with (
        lab(redis_url, LATER, "a") as service,
        asking(service.stub) as low,
        Link(redis_url) as link,
    ):
        await low.until("ready")
        beats, beat = BeatWriter(link, Keys()), Beat(low.id, low.token)
        [before] = await beats.write([beat])
        assert isinstance(before, Alive)
        assert before.preempt_left_ms is None
        async with asking(service.stub, priority=1):
            await eventually(gives_way(service, low))
            [told] = await beats.write([beat])
            assert isinstance(told, Alive)
            assert told.preempt_left_ms is not None
            assert 0 < told.preempt_left_ms <= 600_000


async def test_who_need_not_give_way_any_longer_is_spared(redis_url: str) -> None:
    async with lab(redis_url, LATER, "a") as service, asking(service.stub) as low:
        await low.until("ready")
        async with asking(service.stub, priority=1) as urgent:
            await eventually(gives_way(service, low))
            await urgent.release()

        async def is_spared() -> bool:
            return not (await shown(service, low)).HasField("preempt_time")

        await eventually(is_spared)


async def test_two_who_wait_have_two_give_way(redis_url: str) -> None:
    async with (
        lab(redis_url, LATER, "a", "b", "c") as service,
        asking(service.stub) as first,
        asking(service.stub) as second,
        asking(service.stub, priority=-1) as third,
    ):
        for holder in (first, second, third):
            await holder.until("ready")
        async with asking(service.stub, priority=5):
            await eventually(gives_way(service, third))
            async with asking(service.stub, priority=5):
                # Of equal priority the later one: it has run for the shorter time.
                await eventually(gives_way(service, second))
                assert not (await shown(service, first)).HasField("preempt_time")


async def test_a_set_gets_all_that_was_given_up_for_it(redis_url: str) -> None:
    both = wanting(db={}, edge={})
    async with (
        lab(redis_url, SOON, "a", "b") as service,
        asking(service.stub) as one,
        asking(service.stub) as two,
    ):
        for holder in (one, two):
            await holder.until("ready")
        async with asking(service.stub, priority=1) as small, asking(service.stub, both) as plain:
            async with asking(service.stub, both, priority=2) as urgent:
                for holder in (one, two):
                    assert await holder.ended() == "PREEMPTED"
                await urgent.until("ready")
                assert small.events[-1] == plain.events[-1] == "queued"


class Told:
    """Notes who is told what, in place of the scripts."""

    def __init__(self) -> None:
        self.preempted: list[tuple[str, str]] = []
        self.spared: list[str] = []

    async def preempt(self, victim: str, for_id: str, **more: object) -> None:
        self.preempted.append((victim, for_id))

    async def spare(self, allocation: str, **more: object) -> None:
        self.spared.append(allocation)


def of_two(policy: Policy, **holder: object) -> Records:
    """A lab with two machines, one of which low has, and the other eve."""
    records = Records(policy)
    records.holder("low", 5, **({"holds": "a.1"} | holder))
    records.holder("own", 5, holds="b.1", user="eve")
    records.machine("a", "low")
    records.machine("b", "own")
    return records


async def look(records: Records) -> Told:
    """Let the lab look at who gives way."""
    told = Told()
    records.lab.decide()
    giving_way = GivingWay(records.view, records.lab, cast("Grants", told), lambda: None)
    await giving_way.look(1)
    return told


@pytest.mark.parametrize(
    ("policy", "is_so"),
    [
        (LATER, True),
        (Policy(), False),
        (Policy(preemption=Preemption(gap=9)), True),
        (Policy(preemption=Preemption(gap=10)), False),
        (replace(LATER, users={"eve": UserPolicy(priority_high=0)}), False),
        (replace(LATER, users={"eve": UserPolicy(quota=Quota(allocations=1))}), False),
        (replace(LATER, users={"eve": UserPolicy(quota=Quota(allocations=2))}), True),
    ],
)
async def test_somebody_gives_way_only_where_the_policy_has_it(policy: Policy, is_so: bool) -> None:
    records = of_two(policy)
    records.queue("urgent", user="eve", priority=9)
    assert bool((await look(records)).preempted) is is_so


async def test_in_one_look_everybody_gives_way_to_one_request_at_most() -> None:
    records = of_two(LATER)
    records.queue("first", priority=9)
    records.queue("second", priority=8)
    assert (await look(records)).preempted == [("low", "first"), ("own", "second")]


async def test_nobody_gives_way_for_what_would_be_over_quota_once_it_was_had() -> None:
    policy = replace(LATER, users={"eve": UserPolicy(quota=Quota(cpus=6))})
    records = of_two(policy)
    # Whatever it gets has 4 processors, and as many are in use.
    records.queue("urgent", json.dumps({"hosts": {"h": {}}}), user="eve", priority=9)
    assert (await look(records)).preempted == []


async def test_what_is_booked_does_not_give_way_and_nobody_gives_way_to_it() -> None:
    records = of_two(LATER, book_until_ms=NOW_MS + MINUTE_MS)
    records.change("allocation", "own", priority=9)
    records.queue("urgent", priority=9)
    assert (await look(records)).preempted == []
    records.change("allocation", "low", book_until_ms=0)
    assert (await look(records)).preempted == [("low", "urgent")]
    records.change("allocation", "urgent", book_until_ms=NOW_MS + MINUTE_MS)
    assert (await look(records)).preempted == []


async def test_whoever_gives_way_already_is_told_nothing_more() -> None:
    records = of_two(LATER, preempt_ms=NOW_MS + MINUTE_MS, preempted_for="urgent")
    records.queue("urgent", priority=9)
    told = await look(records)
    assert (told.preempted, told.spared) == ([], [])
    # What low gives up is for the first of them, so that another has to for the second.
    records.queue("next", priority=8)
    assert (await look(records)).preempted == [("own", "next")]


@pytest.mark.parametrize("state", ["ENDED", "PREPARING"])
async def test_a_notice_is_taken_back_when_what_it_was_for_no_longer_waits(state: str) -> None:
    records = of_two(LATER, preempt_ms=NOW_MS + MINUTE_MS, preempted_for="urgent")
    records.queue("urgent", priority=9)
    records.change("allocation", "urgent", state=state)
    assert (await look(records)).spared == ["low"]


async def test_it_is_looked_at_most_so_often_and_not_forgotten() -> None:
    rung = asyncio.Event()
    pace = Pace(0.05, rung.set)
    assert pace.is_time()
    assert not pace.is_time()
    assert not pace.is_time()
    async with asyncio.timeout(LIMIT_S):
        await rung.wait()
    assert pace.is_time()
