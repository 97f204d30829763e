"""What tests of Allocate share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hwprovisioner.state.view import View
from support.bench import Bench, bench
from support.lab_log import Log
from support.services import Running, allocate


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Running]:
    """Allocate, on an empty lab."""
    async with allocate(redis_url) as running:
        yield running


PLACES = [(0, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (0, 1, 2)]
"""At which replica the holder is, the manager's stream, and its end of channels."""


@pytest.fixture(params=PLACES, ids=lambda places: "".join(map(str, places)))
async def anywhere(
    request: pytest.FixtureRequest, redis_url: str, tmp_path: Path
) -> AsyncIterator[Bench]:
    async with bench(redis_url, tmp_path, *request.param) as found:
        yield found
        await found.nothing_is_left()


@pytest.fixture(params=[(0, 0, 0), (0, 1, 1)], ids=["one replica", "two replicas"])
async def either(
    request: pytest.FixtureRequest, redis_url: str, tmp_path: Path
) -> AsyncIterator[Bench]:
    async with bench(redis_url, tmp_path, *request.param) as found:
        yield found


@pytest.fixture
async def near(redis_url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(redis_url, tmp_path) as found:
        yield found


@pytest.fixture
def log() -> Log:
    """Changes of an empty lab."""
    return Log(View())
