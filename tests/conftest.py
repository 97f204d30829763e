"""Fixtures that tests of several parts need."""

import os
from collections.abc import Iterator

import hypothesis
import pytest

from support import redis_server as servers

# How long an example takes depends on what else the machine does: no test asserts times.
hypothesis.settings.register_profile("no deadlines", deadline=None)
hypothesis.settings.load_profile("no deadlines")

# Hundreds of tests start programs: each would compile all of the product anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what may take longest, or one worker waits for the other in the end."""
    items.sort(key=_limit_s, reverse=True)


def _limit_s(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark else 0.0


@pytest.fixture(scope="session")
def redis_server() -> Iterator[servers.RedisServer]:
    """One Redis for the whole session; a test that kills its server starts one of its own."""
    with servers.running() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: servers.RedisServer) -> str:
    """Where an empty Redis answers."""
    assert redis_server.command("FLUSHALL") == b"+OK\r\n"
    return redis_server.url
