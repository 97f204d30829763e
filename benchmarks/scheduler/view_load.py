"""Building the view and the lab of many resources and requests from a real Redis."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# The one Redis that tests and benchmarks start.
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from benchmarks.frame.machine import resident_kib
from hwprovisioner.allocate import garbage
from hwprovisioner.allocate.lab import Lab
from hwprovisioner.state.follower import Follower
from hwprovisioner.state.keys import Keys, Kind
from hwprovisioner.state.link import Link
from hwprovisioner.state.view import View
from support.redis_server import running

_BATCH = 1_000
_FREE = {
    **dict.fromkeys(("rev", "epoch", "volunteered", "slots"), "1"),
    **dict.fromkeys(("used_slots", "used_cpus", "used_memory", "fence", "rest_until"), "0"),
    **{"cpus": "8", "memory": str(1 << 40), "used_gpus": "", "holds": "", "removed": "0"},
    **{"health": "HEALTHY", "admin": "ENABLED"},
}
"""The fields of a resource that nobody uses."""
_SPECS, _DEMANDS, _USERS = 200, 1_000, 50


async def fill(url: str, resources: int, requests: int) -> None:
    """Write records as the scripts do."""
    keys = Keys()
    async with Link(url) as link:
        records = [*_resources(keys, resources), *_requests(keys, requests)]
        records.append(("HSET", keys.manager("m"), "id", "m", "presence", "ONLINE", "epoch", "1"))
        records.append(("SADD", keys.index(Kind.MANAGER), "m"))
        for start in range(0, len(records), _BATCH):
            await link.call_all(records[start : start + _BATCH])


def _resources(keys: Keys, count: int) -> Iterator[tuple[str, ...]]:
    for number in range(count):
        name, spec = f"server-{number}", _spec_text(number % _SPECS)
        fields = {"name": name, "manager": "m", "spec": spec, "generation": "1", **_FREE}
        flat = [word for pair in fields.items() for word in pair]
        yield "HSET", keys.resource(name), *flat
        yield "SADD", keys.index(Kind.RESOURCE), name


def _requests(keys: Keys, count: int) -> Iterator[tuple[str, ...]]:
    for number in range(count):
        name = f"request{number}"
        host = {"cpus": "8", "memory": str(number % _DEMANDS), "labels": [f"x{number % 7}"]}
        demands = json.dumps({"hosts": {"host": host}})
        fields = {"id": name, "state": "QUEUED", "demands": demands, "turn": str(number)}
        fields |= {"user": f"user-{number % _USERS}", "ttl_ms": "30000", "rev": "1"}
        fields |= {"max_ms": "0", "submit_ms": "1", "tries": "0", "class_id": "c", "priority": "0"}
        flat = [word for pair in fields.items() for word in pair]
        yield "HSET", keys.allocation(name), *flat
        yield "SADD", keys.index(Kind.ALLOCATION), name


def _spec_text(index: int) -> str:
    labels = {"lot": str(index), f"x{index % 7}": ""}
    has = {"cpus": "8", "memory_bytes": str(1 << 40), "labels": labels}
    return json.dumps({"kind": "RESOURCE_KIND_PHYSICAL_SERVER", **has})


async def load(url: str) -> dict[str, float]:
    """Load everything; returns how long it took in s, and by how much the process grew in bytes."""
    view = View()
    lab = Lab(view)
    async with Link(url) as link:
        follower = Follower(link, Keys(), view)
        # As the service does.
        garbage.expect_many()
        follower.listen(garbage.leave_alone)
        before, start = _resident_bytes(), time.perf_counter()
        task = asyncio.create_task(follower.follow())
        await follower.following(600_000)
        passed = time.perf_counter() - start
        task.cancel()
    return {"seconds": passed, "grown": _resident_bytes() - before, "queued": lab.queue_length}


def _resident_bytes() -> int:
    return resident_kib(os.getpid()) * 1024


def measure(resources: int, requests: int) -> dict[str, float]:
    """Fill a Redis, and load it in a process of its own."""
    with running() as redis:
        url = redis.unix_url
        asyncio.run(fill(url, resources, requests))
        answer = subprocess.run(
            [sys.executable, "-m", "benchmarks.scheduler.view_load", url],
            capture_output=True,
            text=True,
            check=True,
        )
    found: dict[str, float] = json.loads(answer.stdout)
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(load(sys.argv[1]))))
