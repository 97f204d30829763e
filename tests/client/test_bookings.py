"""Bookings from the SDK: made, waited for, taken up, and left alone by who does not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.rpc.error_details_pb2 import PreconditionFailure  # type: ignore[import-untyped]

from hwprovisioner.client import (
    AsyncLab,
    BadDemand,
    Booking,
    BookingConflict,
    Lab,
    LabError,
    LeaseLost,
    NotAllowed,
    NotFound,
    OverQuota,
    Phase,
    Update,
)
from hwprovisioner.v1 import allocate_service_pb2 as pb
from support.eventually import eventually
from support.fake_allocation import FakeAllocation
from support.fake_lab import FakeLab
from support.fake_refusals import AWAY, Code, Refusal, seconds
from support.fake_time import FakeTime
from support.lab_in_thread import LabInThread

START = datetime(2126, 5, 1, 14, 0, tzinfo=UTC)


def booked(lab: AsyncLab, **more: Any) -> Any:
    return lab.book(**{"start": START, "duration": "2h", **more})


@contextlib.asynccontextmanager
async def taking_up(lab: AsyncLab, fake: FakeLab, **asked: Any) -> AsyncIterator[Any]:
    """Take a booking up in a task of its own; gives the task and the allocation."""
    booking = await booked(lab)
    block = lab.attach(booking.allocation_id, booking.token, **asked)
    task = asyncio.ensure_future(block.__aenter__())
    try:
        await eventually(lambda: fake.only.listeners)
        yield task, fake.only
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, LabError):
            await task
        await block.abandon()


# -- booking --------------------------------------------------------------------------------------


async def test_what_is_booked_reaches_the_lab_and_what_it_says_comes_back(
    lab: AsyncLab, fake: FakeLab
) -> None:
    booking = await booked(lab, cpus=8, count=2, different="rack", lease_ttl="1m")
    request = fake.only.request
    assert request.demands.hosts["host"].count == 2
    assert request.demands.relations[0].label == "rack"
    assert request.lease_ttl.seconds == 60
    assert request.requestor.host
    assert len(request.request_id) >= 16
    assert (booking.allocation_id, booking.token) == ("a-1", "token-1")
    assert (booking.start, booking.end) == (START, START + timedelta(hours=2))
    assert booking.start.tzinfo is UTC
    assert "token-1" not in repr(booking)


async def test_an_end_counts_from_the_start(lab: AsyncLab) -> None:
    assert (await booked(lab, duration=None, end="+30m")).end == START + timedelta(minutes=30)
    wall = START.astimezone()
    at_wall = f"{(wall + timedelta(hours=3)):%H:%M}"
    assert (await booked(lab, duration=None, end=at_wall)).end == START + timedelta(hours=3)


async def test_the_same_request_id_gives_the_same_booking(lab: AsyncLab, fake: FakeLab) -> None:
    first = await booked(lab, request_id="r" * 16)
    assert (await booked(lab, request_id="r" * 16)).allocation_id == first.allocation_id
    assert (await booked(lab)).allocation_id != first.allocation_id


async def test_a_booking_is_sent_again_with_its_id_while_the_lab_is_away(
    lab: AsyncLab, fake: FakeLab
) -> None:
    fake.refuse_unary = [AWAY, AWAY]
    await booked(lab)
    assert (fake.unary_calls, len(fake.allocations)) == (3, 1)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"duration": None}, "either an end or a duration"),
        ({"end": "16:00"}, "not both"),
        ({"duration": None, "end": START}, "is not after the start"),
        ({"duration": "soon"}, "^duration: "),
        ({"start": "soon"}, "^start: .* is no moment"),
        ({"duration": None, "end": "soon"}, "^end: .* is no moment"),
        ({"lease_ttl": 0}, "^lease_ttl: "),
        ({"cups": 4}, "did you mean 'cpus'"),
    ],
)
async def test_a_wrong_booking_is_refused_before_it_is_sent(
    lab: AsyncLab, fake: FakeLab, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadDemand, match=said):
        await booked(lab, **asked)
    assert fake.unary_calls == 0


async def test_a_conflict_names_each_host_and_what_stands_in_the_way(
    lab: AsyncLab, fake: FakeLab
) -> None:
    failure = PreconditionFailure.Violation(
        type="BOOKING_CONFLICT", subject="db", description="refb is booked by ann until 16:00"
    )
    fake.refuse_book = Refusal(
        Code.FAILED_PRECONDITION,
        "the set cannot be promised",
        "BOOKING_CONFLICT",
        details=(PreconditionFailure(violations=[failure]),),
    )
    with pytest.raises(BookingConflict, match=r"promised \(db: refb is booked by ann") as caught:
        await booked(lab)
    assert caught.value.hosts == {"db": "refb is booked by ann until 16:00"}
    assert caught.value.reason == "BOOKING_CONFLICT"


async def test_what_no_quota_allows_has_an_error_of_its_own(lab: AsyncLab, fake: FakeLab) -> None:
    fake.refuse_book = fake.refuse_allocate = Refusal(
        Code.FAILED_PRECONDITION, "at most 4 gpus for ann", "QUOTA_NEVER"
    )
    for work in (booked(lab), lab.allocate(gpus=8).__aenter__()):
        with pytest.raises(OverQuota, match="at most 4 gpus for ann"):
            await work


# -- taking it up ---------------------------------------------------------------------------------


async def test_a_booking_waits_without_heartbeats_begins_and_is_given_back(
    lab: AsyncLab, fake: FakeLab
) -> None:
    told: list[Update] = []
    async with taking_up(lab, fake, on_update=told.append) as (task, allocation):
        await eventually(lambda: told)
        assert (told[0].phase, told[0].expected) == (Phase.BOOKED, START)
        assert told[0].allocation_id == "a-1"
        assert not allocation.beats
        allocation.queue(1, "is granted at once")
        await eventually(lambda: allocation.beats)
        allocation.ready()
        hardware = await task
        assert hardware.host.resource == "res-1"
        assert (hardware.allocation_id, hardware.token) == ("a-1", "token-1")
        await hardware.release()
        assert allocation.released.is_set()
    assert [u.phase for u in told if not u.repeated] == [Phase.BOOKED, Phase.QUEUED, Phase.READY]


async def test_a_wait_that_is_given_up_before_its_time_leaves_the_booking(
    lab: AsyncLab, fake: FakeLab
) -> None:
    told: list[Update] = []
    async with taking_up(lab, fake, on_update=told.append) as (task, _):
        await eventually(lambda: told)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not fake.only.ended


async def test_a_wait_that_is_given_up_after_its_time_gives_it_back(
    lab: AsyncLab, fake: FakeLab
) -> None:
    async with taking_up(lab, fake) as (task, allocation):
        allocation.queue(1, "refb is in use")
        await eventually(lambda: allocation.beats)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert fake.only.released.is_set()


async def test_a_lab_that_is_away_for_long_before_its_time_harms_no_booking(
    timed_lab: AsyncLab, fake: FakeLab, clock: FakeTime
) -> None:
    told: list[Update] = []
    async with taking_up(timed_lab, fake, on_update=told.append) as (task, allocation):
        await eventually(lambda: told)
        fake.refuse_watch = AWAY
        allocation.lose_streams()
        await eventually(lambda: told[-1].phase is Phase.AWAY)

        def let_time_pass() -> bool:
            clock.pass_by(60)
            return told[-1].waited_s > 2 * timed_lab.settings.silence_limit_s

        await eventually(let_time_pass)
        assert not task.done()
        fake.refuse_watch = None
        allocation.ready()

        def come_back() -> bool:
            clock.pass_by(0.1)
            return bool(task.done())

        await eventually(come_back)
        (await task).check()


async def test_a_booking_that_is_cancelled_ends_the_wait(lab: AsyncLab, fake: FakeLab) -> None:
    async with taking_up(lab, fake) as (task, allocation):
        allocation.end("CANCELLED", "by its holder")
        with pytest.raises(LeaseLost, match="by its holder") as caught:
            await task
        assert caught.value.reason == "CANCELLED"


async def test_what_was_allocated_is_taken_up_too(lab: AsyncLab, fake: FakeLab) -> None:
    fake.allocations["x"] = allocation = FakeAllocation(7, pb.AllocateRequest())
    allocation.request.demands.hosts["db"].cpus = "8"
    allocation.ready()
    async with lab.attach("a-7", "token-7") as hardware:
        assert hardware["db"].resource == "res-1"
        await eventually(lambda: allocation.beats)
    assert allocation.released.is_set()


async def test_what_cannot_be_taken_up_says_why(lab: AsyncLab) -> None:
    booking = await booked(lab)
    with pytest.raises(NotAllowed):
        await lab.attach(booking.allocation_id, "wrong").__aenter__()
    with pytest.raises(NotFound):
        await lab.attach("a-9", "token-9").__aenter__()
    with pytest.raises(BadDemand, match=r"^token: it is empty"):
        lab.attach("a-1", "")
    with pytest.raises(BadDemand, match=r"^allocation_id: it is empty"):
        lab.attach("", "token-1")
    await lab.release(booking.allocation_id, booking.token)
    with pytest.raises(LeaseLost, match="RELEASED"):
        await lab.attach(booking.allocation_id, booking.token).__aenter__()


def test_programs_that_block_book_and_take_up_too(threaded: LabInThread) -> None:
    lab = Lab(threaded.lab.target, threaded.lab.target)
    booking = lab.book(cpus=4, count=2, start=START, duration="2h")
    assert isinstance(booking, Booking)
    phases: list[Phase] = []

    def listen(update: Update) -> None:
        if update.phase not in phases:
            phases.append(update.phase)
            threaded.call(threaded.lab.only.ready)

    with lab.attach(booking.allocation_id, booking.token, on_update=listen) as hardware:
        assert [host.name for host in hardware.copies("host")] == ["host-1", "host-2"]
    assert phases == [Phase.BOOKED, Phase.READY]
    assert threaded.lab.only.released.is_set()


# -- what else is told ----------------------------------------------------------------------------


async def test_wait_times_come_whole(lab: AsyncLab, fake: FakeLab) -> None:
    fake.wait_times = [
        pb.WaitTimes(class_id=f"c{n}", median_wait=seconds(n + 1), queued_count=n) for n in range(3)
    ]
    assert [each.class_id for each in await lab.wait_times()] == ["c0", "c1", "c2"]
