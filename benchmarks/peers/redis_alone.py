"""Redis by itself: the scripts of the services, by redis-benchmark, with nothing in front of it."""

import asyncio
import csv
import subprocess
from collections.abc import Sequence
from typing import Any

from benchmarks.expiry.leases import Leases
from benchmarks.frame.stage import RedisServer, Stage
from hwprovisioner.heartbeat.beats import Beat, BeatWriter
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.state.scripts import Script

NAME = "redis-benchmark"
_CLIENTS = 64


class _Noting:
    """A link that notes which script was called how."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.command: list[str] = []

    async def call_script(self, script: Script, keys: Sequence[str], args: Sequence[str]) -> Any:  # noqa: ANN401
        self.command = ["EVALSHA", script.sha, str(len(keys)), *keys, *map(str, args)]
        return await self._link.call_script(script, keys, args)


class RedisAlone:
    """A Redis on a stage with live leases."""

    def __init__(self, stage: Stage, leases: int, name: str = "redis-alone") -> None:
        self._stage = stage
        self._redis: RedisServer = stage.redis(name)
        Leases(self._redis.unix_url).live(leases)

    def beats(self, requests: int, each: int) -> float:
        """Call the script so often, with so many beats each; returns beats a second."""
        command = asyncio.run(self._beat([Beat(f"bench{n}", "bench") for n in range(each)]))
        return self._rate(requests, command) * each

    def writes(self, requests: int) -> float:
        """Set a value so often; returns how many a second."""
        return self._rate(requests, ["SET", "bench", "v" * 100])

    async def _beat(self, beats: Sequence[Beat]) -> Sequence[str]:
        """Return the command that writes beats, which has done so once."""
        async with Link(self._redis.unix_url) as link:
            noting = _Noting(link)
            await BeatWriter(noting, Keys()).write(beats)  # type: ignore[arg-type]
        return noting.command

    def _rate(self, requests: int, command: Sequence[str]) -> float:
        program = [NAME, "-s", self._redis.socket_path, "-c", str(_CLIENTS), "-n", str(requests)]
        with self._stage.spending(NAME, load=True):
            done = subprocess.run(
                [*program, "--csv", *command], capture_output=True, text=True, check=True
            )
        *_, last = csv.reader(done.stdout.splitlines())
        return float(last[1])
