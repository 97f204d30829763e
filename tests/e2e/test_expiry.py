"""With `hwp up` and grpcurl alone.

An allocation lives while it is beaten, and ends in time when not.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import redis.asyncio

from support.eventually import eventually
from support.real_suite import Suite, running

GRPCURL = str(Path(sys.executable).with_name("grpcurl"))
TTL_S = 5
LATENESS_MS = 250
_ALLOCATE = "hwprovisioner.v1.AllocateService"
_HEARTBEAT = "hwprovisioner.v1.HeartbeatService/Heartbeat"


async def grpcurl(address: str, method: str, request: object) -> Any:
    process = await asyncio.create_subprocess_exec(
        *(GRPCURL, "-plaintext", "-d", json.dumps(request), address, method),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return json.loads(out) if process.returncode == 0 else {"error": err.decode()}


async def allocate(suite: Suite) -> tuple[str, str, asyncio.subprocess.Process]:
    """Ask with a grpcurl that goes on; return id, token and the process once it is ready."""
    request = {"demands": {"hosts": {"db": {"cpus": "1"}}}, "lease_ttl": f"{TTL_S}s"}
    process = await asyncio.create_subprocess_exec(
        *(GRPCURL, "-plaintext", "-d", json.dumps(request), suite.allocate),
        f"{_ALLOCATE}/Allocate",
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    said = ""
    while '"ready"' not in said:
        line = (await process.stdout.readline()).decode()
        assert line, said
        said += line
    first, _ = json.JSONDecoder().raw_decode(said)
    return first["update"]["allocation"]["id"], first["token"], process


async def lateness_ms(suite: Suite, *, notifications: bool) -> float:
    """Take an allocation through its life, and return how late it ended, by the clock of Redis."""
    async with redis.asyncio.Redis.from_url(suite.redis_url, decode_responses=True) as server:
        if not notifications:
            await server.config_set("notify-keyspace-events", "")
        allocation_id, token, process = await allocate(suite)
        beat = {"allocation_id": allocation_id, "token": token}
        submitted = await server.zscore("hwp:{default}:deadlines", f"lease:{allocation_id}")
        assert submitted is not None

        async def outlived_first_lease() -> bool:
            answer = await grpcurl(suite.heartbeat, _HEARTBEAT, beat)
            assert answer["state"] == "ALLOCATION_STATE_READY", answer
            seconds, micros = await server.time()
            return bool(seconds * 1000 + micros / 1000 > submitted + 1000)

        await eventually(outlived_first_lease, within=3 * TTL_S)
        deadline = await server.zscore("hwp:{default}:deadlines", f"lease:{allocation_id}")
        assert deadline is not None
        await asyncio.wait_for(process.wait(), 3 * TTL_S)  # the stream ends with the allocation
        assert process.stdout is not None
        assert b"END_REASON_EXPIRED" in await process.stdout.read()
        ended = await server.hget("hwp:{default}:allocation:" + allocation_id, "end_ms")
        assert ended is not None
    late = await grpcurl(suite.heartbeat, _HEARTBEAT, beat)
    assert "ALLOCATION_ENDED" in late["error"]
    assert "Aborted" in late["error"]
    await eventually(lambda: all_free(suite))
    return float(ended) - deadline


async def all_free(suite: Suite) -> bool:
    listed = await grpcurl(suite.allocate, f"{_ALLOCATE}/ListResources", {})
    return all("holds" not in one for one in listed["resources"])


async def test_an_allocation_ends_within_250_ms_of_its_ttl_with_notifications_and_without(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "on") as on, running(tmp_path / "off") as off:
        late = await asyncio.gather(
            lateness_ms(on, notifications=True), lateness_ms(off, notifications=False)
        )
    assert all(0 <= each <= LATENESS_MS for each in late), late
