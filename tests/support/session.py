"""Allocations of the SDK that wait, or are held, while the test moves them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from hwprovisioner.client import AsyncHardware, AsyncLab, LabError, LeaseLost
from support.eventually import eventually
from support.fake_allocation import FakeAllocation
from support.fake_lab import FakeLab


def stay(allocation: FakeAllocation) -> None:
    """What `on_submit` is when the test itself moves the allocation."""


@contextlib.asynccontextmanager
async def waiting(lab: AsyncLab, fake: FakeLab, **asked: Any) -> AsyncIterator[Any]:
    """Ask in a task of its own; gives the task and the allocation once it is queued."""
    fake.on_submit = stay
    block = lab.allocate(**asked)
    task = asyncio.ensure_future(block.__aenter__())
    try:
        await eventually(lambda: fake.allocations and fake.only.beats)
        yield task, fake.only
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, LabError):
            await task
        await block.abandon()


async def hold(lab: AsyncLab, fake: FakeLab) -> tuple[Any, AsyncHardware, list[LeaseLost]]:
    """Allocate a host; return the block, what it gives, and the losses it is told of."""
    block = lab.allocate(cpus=1)
    hardware = await block.__aenter__()
    lost: list[LeaseLost] = []
    hardware.on_lost(lost.append)
    await eventually(lambda: hardware.beats)
    return block, hardware, lost
