"""What tests of serving share."""

from collections.abc import AsyncIterator

import pytest

from support.failing_service import service
from support.grpc_server import Running, serving


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    """A server of which the calls fail as they say."""
    async with serving(service()) as running:
        yield running
