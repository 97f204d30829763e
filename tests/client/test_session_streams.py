"""Streams that break and labs that are away, while the SDK has something there."""

import asyncio

import pytest

from hwprovisioner.client import (
    AsyncLab,
    BadDemand,
    LabError,
    LabUnavailable,
    LeaseLost,
    NotFound,
    Phase,
    RevisionForgotten,
    Settings,
    Update,
)
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.resource_pb2 import Resource, ResourceSpec
from support.eventually import eventually
from support.fake_lab import FakeLab
from support.fake_refusals import AWAY, Code, Refusal
from support.fake_time import FakeTime
from support.session import waiting


async def test_a_lost_stream_is_taken_up_again_by_a_watch(lab: AsyncLab, fake: FakeLab) -> None:
    async with waiting(lab, fake, cpus=1) as (task, allocation):
        allocation.lose_streams()
        await eventually(lambda: fake.watch_calls and allocation.listeners)
        allocation.ready()
        assert (await task).host.resource == "res-1"
    assert fake.allocate_calls == 1


async def test_a_request_that_got_no_answer_is_sent_again_with_the_same_id(
    lab: AsyncLab, fake: FakeLab
) -> None:
    fake.refuse_allocate = Refusal(Code.UNAVAILABLE, "stopping", "STOPPING")
    told: list[Update] = []
    task = asyncio.ensure_future(lab.allocate(cpus=1, on_update=told.append).__aenter__())
    await eventually(lambda: fake.allocate_calls >= 2)
    fake.refuse_allocate = None
    hardware = await task
    assert len(fake.allocations) == 1
    assert told[0].phase is Phase.AWAY
    await hardware.release()


async def test_a_stream_lost_while_the_hosts_are_in_use_harms_nobody(
    lab: AsyncLab, fake: FakeLab
) -> None:
    async with lab.allocate(cpus=1) as hardware:
        fake.refuse_watch = Refusal(Code.NOT_FOUND, "what?", "NO_SUCH_ALLOCATION")
        fake.only.lose_streams()
        await eventually(lambda: fake.watch_calls)
        assert (await hardware.host.run("echo yes")).stdout == "yes\n"


async def test_only_a_lab_that_is_away_is_asked_again(lab: AsyncLab, fake: FakeLab) -> None:
    fake.refuse_allocate = Refusal(Code.INTERNAL, "a bug", "INTERNAL")
    with pytest.raises(LabError, match="a bug"):
        async with lab.allocate(cpus=1):
            pass
    assert fake.allocate_calls == 1


async def test_a_lab_that_never_answers_is_given_up(
    timed_lab: AsyncLab, fake: FakeLab, clock: FakeTime
) -> None:
    fake.mute_allocate = True
    task = asyncio.ensure_future(timed_lab.allocate(cpus=1).__aenter__())
    await eventually(lambda: fake.allocate_calls)
    clock.pass_by(timed_lab.settings.contact_limit_s)
    with pytest.raises(LabUnavailable, match="nothing was heard"):
        await task


async def test_a_lab_that_is_not_there_is_named_with_what_to_look_at() -> None:
    settings = Settings(allocate_address="127.0.0.1:9", contact_limit_s=0.0)
    with pytest.raises(LabUnavailable, match=r"127.0.0.1:9 .*hwp up.*ALLOCATE_API"):
        await AsyncLab(settings=settings).explain(cpus=1)


async def test_lists_come_whole_with_the_revision_of_the_first_page(
    lab: AsyncLab, fake: FakeLab
) -> None:
    fake.resources = [Resource(spec=ResourceSpec(name=f"r{n}")) for n in range(5)]
    listing = await lab.list_resources(demand={"cpus": 1}, free=True)
    assert [resource.spec.name for resource in listing] == ["r0", "r1", "r2", "r3", "r4"]
    assert (listing.revision, len(listing), fake.unary_calls) == (7, 5, 3)


async def test_a_unary_call_is_sent_again_while_the_lab_is_away(
    lab: AsyncLab, fake: FakeLab
) -> None:
    fake.refuse_unary = [AWAY, AWAY]
    assert (await lab.explain(cpus=1)).availability == pb.Availability.AVAILABILITY_NOW
    assert fake.unary_calls == 3


async def test_unknown_things_are_not_found(lab: AsyncLab) -> None:
    with pytest.raises(NotFound):
        await lab.get_resource("x")
    with pytest.raises(NotFound):
        await lab.get_allocation("x")
    with pytest.raises(BadDemand, match="did you mean 'queued'"):
        await lab.list_allocations(states=["qeued"])


async def test_changes_are_told_without_gaps_over_lost_streams(
    lab: AsyncLab, fake: FakeLab
) -> None:
    change = pb.WatchLabResponse
    fake.changes = [
        change(revision=3),
        Refusal(Code.UNAVAILABLE, "gone"),
        change(revision=3),
        change(revision=4),
        Refusal(Code.OUT_OF_RANGE, "too old", "REVISION_FORGOTTEN", {"oldest_revision": "9"}),
    ]
    seen = []
    with pytest.raises(RevisionForgotten) as caught:  # noqa: PT012  # in the middle of the loop
        async for told in lab.watch_lab(after_revision=2):
            seen.append(told.revision)
    assert seen == [3, 4]
    assert caught.value.metadata["oldest_revision"] == "9"


async def test_an_allocation_can_be_watched_beaten_for_and_released_by_its_token(
    lab: AsyncLab, fake: FakeLab
) -> None:
    async with waiting(lab, fake, cpus=1) as (task, allocation):
        assert (await lab.heartbeat(allocation.id, allocation.token)).remaining_lease.seconds == 30
        watched = lab.watch_allocation(allocation.id, allocation.token)
        assert (await anext(watched)).HasField("queued")
        await lab.release(allocation.id, allocation.token)
        assert (await anext(watched)).HasField("ended")
        with pytest.raises(StopAsyncIteration):
            await anext(watched)
        with pytest.raises(LeaseLost):
            await task
        with pytest.raises(LeaseLost, match="RELEASED"):
            await lab.heartbeat(allocation.id, allocation.token)
