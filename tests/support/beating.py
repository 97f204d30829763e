"""The real Heartbeat service in this process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from hwprovisioner.heartbeat import Settings, open_service
from hwprovisioner.serving import serve


@contextlib.asynccontextmanager
async def heartbeat(redis_url: str) -> AsyncIterator[str]:
    """Run it on a free port until the block ends, and give its address."""
    settings = Settings.from_env({"HWP_REDIS_URL": redis_url, "HWP_HEARTBEAT_PORT": "0"})
    stopping = asyncio.Event()
    async with open_service(settings) as opened, asyncio.TaskGroup() as group:
        group.create_task(
            serve(opened.server, opened.readiness, stopping, loops=opened.loops, grace_ms=1000)
        )
        try:
            yield f"127.0.0.1:{opened.port}"
        finally:
            stopping.set()
