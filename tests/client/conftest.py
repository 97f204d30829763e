"""A lab of the test's own."""

from collections.abc import AsyncIterator, Iterator

import pytest

from hwprovisioner.client import AsyncLab, Settings
from support.fake_lab import FakeLab, LabInThread, fake_lab
from support.fake_time import FakeTime


@pytest.fixture
async def fake() -> AsyncIterator[FakeLab]:
    async with fake_lab() as lab:
        yield lab


@pytest.fixture
def clock() -> FakeTime:
    return FakeTime()


@pytest.fixture
async def lab(fake: FakeLab) -> AsyncIterator[AsyncLab]:
    """Over the system's clock: for what needs no time to pass."""
    async with AsyncLab(fake.target, fake.target) as lab:
        yield lab


@pytest.fixture
async def timed_lab(fake: FakeLab, clock: FakeTime) -> AsyncIterator[AsyncLab]:
    """Over the test's own clock."""
    settings = Settings(allocate_address=fake.target, heartbeat_address=fake.target)
    async with AsyncLab(settings=settings, time=clock) as lab:
        yield lab


@pytest.fixture
def threaded() -> Iterator[LabInThread]:
    """For tests that block."""
    with LabInThread() as lab:
        yield lab
