"""A lab with the test's own clock."""

from collections.abc import AsyncIterator

import pytest

from hwprovisioner.state.link import Link
from support.state_lab import StateLab


@pytest.fixture
async def lab(redis_url: str) -> AsyncIterator[StateLab]:
    async with Link(redis_url) as link:
        yield StateLab(link)
