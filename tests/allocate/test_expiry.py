"""What the sweep does while its view lags."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from hwprovisioner.allocate.expiry import Expiry
from hwprovisioner.state.keys import Kind
from hwprovisioner.state.link import Link
from hwprovisioner.state.tables import EndReason
from hwprovisioner.state.view import View
from support.eventually import eventually
from support.state_lab import NOW, StateLab


@contextlib.asynccontextmanager
async def sweeping(lab: StateLab, view: View) -> AsyncIterator[None]:
    expiry = Expiry(view, lab.care, lab.allocations, lab.holds, lab.managers)
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
