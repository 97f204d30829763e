"""What the sweep does by itself: while its view lags, and with bookings and what gives way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from hwprovisioner.allocate.expiry import Expiry
from hwprovisioner.state.keys import Kind
from hwprovisioner.state.link import Link
from hwprovisioner.state.tables import AllocationState, EndReason
from hwprovisioner.state.view import View
from support.booking import book
from support.eventually import eventually
from support.state_lab import NOW, StateLab

SHOW_UP_MS = 1_234_567


@contextlib.asynccontextmanager
async def sweeping(lab: StateLab, view: View) -> AsyncIterator[None]:
    expiry = Expiry(
        *(view, lab.care, lab.allocations, lab.holds, lab.managers),
        show_up_ms=lambda: SHOW_UP_MS,
    )
    task = asyncio.create_task(expiry.sweep())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_lost_manager_is_settled_only_by_who_knows_what_it_had(redis_url: str) -> None:
    async with Link(redis_url) as link:
        lab = StateLab(link)
        who = await lab.register()
        await lab.describe(who)
        await lab.elect()
        await lab.submit()
        await lab.grant("a", lab.planned("r"))
        await lab.managers.disconnect("m", who.epoch, now_ms=NOW - lab.limits.lost_ms)
        await lab.managers.lose("m", now_ms=NOW)
        await link.call("ZADD", lab.keys.deadlines, 1, "manager:m")  # due by the real clock, too

        async def tended() -> object:
            return await link.call("GET", lab.keys.tended)

        async with sweeping(lab, View()):  # of a replica that has not loaded yet
            first = await eventually(tended)

            async def swept_again() -> bool:
                return bool(await tended() != first)

            await eventually(swept_again)
            assert await lab.deadline_ms("manager:m") is not None
        async with sweeping(lab, lab.view):

            async def settled() -> bool:
                return await lab.deadline_ms("manager:m") is None

            await eventually(settled)
        reason = await link.call("HGET", lab.keys.record(Kind.ALLOCATION, "a"), "end_reason")
        assert reason == EndReason.RESOURCE_LOST


async def ended(lab: StateLab, name: str) -> tuple[EndReason | None, str]:
    """Wait until an allocation has ended; return why."""
    await eventually(lambda: lab.view.allocations[name].state is AllocationState.ENDED)
    allocation = lab.view.allocations[name]
    return allocation.end_reason, allocation.end_detail


async def test_a_booking_begins_by_itself_and_ends_with_its_time(redis_url: str) -> None:
    async with Link(redis_url) as link:
        lab = StateLab(link)
        await lab.describe(await lab.register())
        await book(lab, from_ms=1, until_ms=NOW)
        async with sweeping(lab, lab.view):
            await eventually(lambda: lab.view.allocations["a"].state is AllocationState.QUEUED)
            assert lab.view.allocations["a"].left_ms == SHOW_UP_MS
            await link.call("ZADD", lab.keys.deadlines, 1, "max:a")
            why = await ended(lab, "a")
        assert why == (EndReason.MAX_DURATION, "it lasted as long as it was booked for")


async def test_what_gives_way_ends_with_its_grace_and_says_for_whom(redis_url: str) -> None:
    async with Link(redis_url) as link:
        lab = StateLab(link)
        await lab.describe(await lab.register())
        await lab.elect()
        await lab.submit()
        await lab.grant("a")
        await lab.allocations.preempt("a", "b", grace_ms=0, epoch=lab.epoch, now_ms=1)
        async with sweeping(lab, lab.view):
            reason, detail = await ended(lab, "a")
        assert reason is EndReason.PREEMPTED
        assert "allocation b" in detail
