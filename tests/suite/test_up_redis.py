"""`hwp up` with a Redis that somebody else runs."""

import signal
from pathlib import Path

from support.redis_server import RedisServer
from support.up import Start


async def test_a_dead_redis_is_waited_for_and_never_replaced(
    start_up: Start, tmp_path: Path
) -> None:
    server = RedisServer()
    try:
        up = start_up("--redis", server.url)
        await up.says(f"waiting for Redis at {server.url}")
        assert not (tmp_path / "state" / "server.json").exists()
        assert "allocate here" not in up.said
        server.start()
        addresses = await up.ready()
    finally:
        server.close()
    assert "redis" not in addresses
    assert f"state             Redis at {server.url}" in up.said
    assert f"redis {server.url}" in up.said


async def test_waiting_for_redis_can_be_given_up(start_up: Start) -> None:
    up = start_up(REDIS_HOST="127.0.0.1", REDIS_PORT="1", REDIS_PASSWORD="hush")
    await up.says("waiting for Redis at redis://:***@127.0.0.1:1/0")
    up.signal(signal.SIGINT)
    assert await up.status() == 0
    assert "hush" not in up.said
