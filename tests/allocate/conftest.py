"""What tests of Allocate share."""

from collections.abc import AsyncIterator

import pytest

from support.services import Running, allocate


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Running]:
    """Allocate, on an empty lab."""
    async with allocate(redis_url) as running:
        yield running
