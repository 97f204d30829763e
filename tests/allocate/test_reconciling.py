"""A manager tells what it has in hand, and the lab, whose Redis may have lost it, takes that over.

What is told is made up here, so that it may be anything; with a Redis that has really lost its last
changes it is in `tests/e2e/test_lost_changes.py`.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1.allocation_pb2 import ALLOCATION_STATE_QUEUED
from hwprovisioner.v1.resource_pb2 import (
    HOLD_STATE_CLEANING,
    HOLD_STATE_PREPARING,
    HOLD_STATE_READY,
    Connection,
    Share,
)
from support.asking import Asked, asking, is_free, resource, wanting
from support.eventually import eventually
from support.fake_manager import Manager, ignore, machine, manager
from support.services import Running, allocate

MACHINES = [machine("a"), machine("b")]
SET = wanting(db={}, edge={})


def held(asked: Asked, name: str, host: str, state: Any = HOLD_STATE_READY) -> stream.HeldHold:
    """Return what a manager says of a hold of all of a machine, which began with fence 5."""
    return stream.HeldHold(
        hold=stream.HoldRef(hold_id=f"{name}.5", fence=5),
        state=state,
        share=Share(cpus=8, memory_bytes=2**34),
        allocation_id=asked.id,
        host=host,
    )


@contextlib.asynccontextmanager
async def waiting(service: Running) -> AsyncIterator[Asked]:
    """Ask for a set while its manager has not volunteered anything."""
    async with manager(service.stub, "m", MACHINES, volunteers=False):
        async with asking(service.stub, SET) as asked:
            await asked.waits_for("not volunteered it yet")
            yield asked


@contextlib.asynccontextmanager
async def back(service: Running, *holds: stream.HeldHold, **told: Any) -> AsyncIterator[Manager]:
    """Register the manager anew, with what it has in hand."""
    told.setdefault("fences", {"a": 5, "b": 9})
    async with manager(
        service.stub, "m", MACHINES, holds=holds, volunteers=False, policy=ignore, **told
    ) as agent:
        yield agent


async def state_of(service: Running, asked: Asked) -> int:
    request = pb.GetAllocationRequest(allocation_id=asked.id)
    return int((await service.stub.GetAllocation(request)).allocation.state)


async def test_a_whole_set_is_given_back_without_an_offer(service: Running) -> None:
    async with waiting(service) as asked:
        holds = [held(asked, "a", "db"), held(asked, "b", "edge", HOLD_STATE_PREPARING)]
        async with back(service, *holds) as agent:
            await asked.until("preparing")
            for each in holds:
                connection = Connection(protocol="ssh", address=each.hold.hold_id)
                await agent.say(ready=stream.Ready(hold=each.hold, connection=connection))
            update = await asked.until("ready")
            hosts = update.allocation.hosts
            assert {name: host.hold.id for name, host in hosts.items()} == {
                "db": "a.5",
                "edge": "b.5",
            }
            assert hosts["db"].connection.address == "a.5"
            assert not [m for m in agent.heard if m.WhichOneof("event") in ("offer", "refused")]
            await asked.release()
            release = await agent.hear("release", lambda said: said.resource == "b")
            assert release.hold.fence == 10, "above what the manager has seen"


@pytest.mark.parametrize("state", [HOLD_STATE_PREPARING, HOLD_STATE_CLEANING])
async def test_what_is_not_whole_waits_again_if_its_holder_never_had_it(
    service: Running, state: Any
) -> None:
    async with waiting(service) as asked:
        holds = [held(asked, "a", "db", state)]
        if state == HOLD_STATE_CLEANING:
            holds.append(held(asked, "b", "edge", state))
        async with back(service, *holds) as agent:
            for each in holds:
                refused = await agent.hear("refused")
                assert (refused.reason, refused.hold_id) == ("NO_SUCH_HOLD", each.hold.hold_id)
            assert await state_of(service, asked) == ALLOCATION_STATE_QUEUED


@pytest.mark.parametrize("host", ["db", "other"])
async def test_what_is_not_whole_and_may_be_in_use_is_lost(service: Running, host: str) -> None:
    async with waiting(service) as asked:
        async with back(service, held(asked, "a", host)) as agent:
            assert await asked.ended() == "RESOURCE_LOST"
            detail = asked.allocation.end_detail
            assert "the lab's Redis has lost its last changes, and manager m could not" in detail
            assert f"it has not all of the hosts, only {host}" in detail
            assert (await agent.hear("refused")).hold_id == "a.5"


async def test_what_others_have_by_now_is_lost(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")]):
        async with asking(service.stub, wanting(db={})) as other:
            await other.until("ready")
            hold = other.allocation.hosts["db"].hold
            theirs = held(other, "a", "db")
            theirs.hold.hold_id, theirs.hold.fence = hold.id, hold.fence
            async with asking(service.stub, wanting(db={})) as asked:
                async with back(service, theirs, held(asked, "a", "db")) as again:
                    assert await asked.ended() == "RESOURCE_LOST"
                    assert "a: others have it" in asked.allocation.end_detail
                    assert (await again.hear("refused")).hold_id == "a.5"
                    assert other.events[-1] == "ready"
                    await other.release()
                    assert await other.ended() == "RELEASED"


async def test_nobody_else_can_end_what_others_hold(service: Running) -> None:
    async with (
        manager(service.stub, "m", [machine("a")]),
        asking(service.stub, wanting(db={})) as asked,
    ):
        await asked.until("ready")
        hold = asked.allocation.hosts["db"].hold
        made_up = held(asked, "a", "db")
        known = held(asked, "a", "db")
        known.hold.hold_id, known.hold.fence = hold.id, hold.fence
        async with manager(service.stub, "other", holds=[made_up, known]) as other:
            assert {(await other.hear("refused")).hold_id for _ in "12"} == {"a.5", hold.id}
        await asked.release()
        assert await asked.ended() == "RELEASED"


async def test_an_accept_that_was_lost_is_told_with_the_registration(redis_url: str) -> None:
    async with allocate(redis_url, offer_ms=300) as service:
        async with manager(service.stub, "m", MACHINES, policy=ignore) as agent:
            async with asking(service.stub, wanting(db={})) as asked:
                offer = await agent.hear("offer")
                known = stream.HeldHold(hold=offer.hold, state=HOLD_STATE_PREPARING)
                async with back(service, known) as again:
                    await agent.status()
                    await again.say(progress=stream.Progress(hold=offer.hold, message="boots"))
                    await asked.until("preparing", lambda said: said.message == "boots")
                    held_now = (await resource(service.stub, offer.resource)).holds
                    assert [hold.state for hold in held_now] == [HOLD_STATE_PREPARING]


@pytest.mark.parametrize("journal_id", ["one", "two"])
async def test_an_offer_to_another_journal_counts_as_begun(
    service: Running, journal_id: str
) -> None:
    has_another = journal_id == "two"
    async with (
        manager(service.stub, "m", MACHINES, policy=ignore, journal_id="one") as agent,
        asking(service.stub, wanting(db={"resource": "a"})) as asked,
    ):
        offer = await agent.hear("offer")
        async with back(service, cleans=False, journal_id=journal_id) as again:
            if not has_another:
                await again.hear("offer", lambda said: said.hold == offer.hold)
                return
            release = await again.hear("release", lambda said: said.hold.hold_id == "a.1")
            assert release.begun
            [hold] = (await resource(service.stub, "a")).holds
            assert hold.state == HOLD_STATE_CLEANING
            await asked.waits_for("came back without it")


@pytest.mark.parametrize("journal_id", ["one", "two"])
async def test_an_offer_that_ended_before_there_was_this_journal_counts_as_begun(
    service: Running, journal_id: str
) -> None:
    async with manager(service.stub, "m", MACHINES, policy=ignore, journal_id="one") as agent:
        agent.cleans = False
        async with asking(service.stub, wanting(db={"resource": "a"})) as asked:
            await agent.hear("offer")
            await asked.release()
        release = await agent.hear("release")
        assert not release.begun
        # It stays so however often a manager with the same journal comes.
        for _ in range(2):
            async with back(service, cleans=False, journal_id=journal_id) as again:
                assert (await again.hear("release")).begun is (journal_id == "two")


@pytest.mark.parametrize("is_clean", [False, True])
async def test_an_end_that_was_lost_is_told_with_the_registration(
    service: Running, is_clean: bool
) -> None:
    async with manager(service.stub, "m", MACHINES):
        async with asking(service.stub, wanting(db={"resource": "a"})) as asked:
            await asked.until("ready")
            hold = asked.allocation.hosts["db"].hold
            ref = stream.HoldRef(hold_id=hold.id, fence=hold.fence + 1)
            known = stream.HeldHold(hold=ref, state=HOLD_STATE_CLEANING)
            told = {"cleaned": [ref]} if is_clean else {"holds": [known]}
            async with manager(
                service.stub, "m", MACHINES, fences={"a": ref.fence}, **told
            ) as agent:
                agent.cleans = not is_clean
                assert await asked.ended() == "RESOURCE_LOST"
                detail = asked.allocation.end_detail
                assert f"had been told that hold {hold.id} has ended" in detail
                await eventually(lambda: is_free(service.stub, "a"))


async def test_a_resource_that_comes_later_tells_its_fence_then(service: Running) -> None:
    async with manager(service.stub, "m", [machine("a")], policy=ignore) as agent:
        await agent.say(volunteer=stream.Volunteer(spec=machine("c"), fence=41))
        async with asking(service.stub, wanting(db={"resource": "c"})):
            assert (await agent.hear("offer")).hold.hold_id == "c.42"
