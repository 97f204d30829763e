"""The Redis of the lab under test: one server, or two of which a sentinel says who is the master.

Sentinel does not fail over by itself, or each pause would be one; `promote` has it do so.
"""

import asyncio
import re
from collections.abc import Callable, Mapping

from support.eventually import eventually
from support.redis_server import RedisServer
from support.sentinels import MASTER, REPLICATION, Sentinel, cut_off_replica_of

_NEVER_MS = 3_600_000
#: Whoever takes something from the end of the file that it appends to wants it to be the only one.
_OPTIONS = ("--auto-aof-rewrite-percentage", "0")
_OFFSET = re.compile(rb"master_repl_offset:(\d+)")
IN_STEP_LIMIT_S = 60.0


class LabRedis:
    """Whatever the services take for Redis; what it acknowledges is on the disk of the master.

    Attributes:
        servers: all of them, wherever they stand.
        master: the one that takes writes, or did until it was killed.
    """

    def __init__(self, *, has_replica: bool, environ: Mapping[str, str] | None = None) -> None:
        options = (*_OPTIONS, *(REPLICATION if has_replica else ()))
        self.servers = [
            RedisServer(*options, durable=True, leash=True, environ=environ)
            for _ in range(2 if has_replica else 1)
        ]
        self.master = self.servers[0]
        self.sentinel = Sentinel(self.master, down_after_ms=_NEVER_MS) if has_replica else None

    @property
    def url(self) -> str:
        """Where those find it who use no proxy."""
        return self.master.unix_url if self.sentinel is None else url_of(self.sentinel.port)

    @property
    def other(self) -> RedisServer:
        """The one that is not the master."""
        [other] = (server for server in self.servers if server is not self.master)
        return other

    def start(self) -> None:
        """Start all; each dies with the thread that does so."""
        self.master.start()
        if self.sentinel is not None:
            self.other.start(*self._follows())
            self.sentinel.__enter__()

    def close(self) -> None:
        if self.sentinel is not None:
            self.sentinel.__exit__()
        for server in self.servers:
            server.close()

    def cut_off_replica(self) -> None:
        """From now on the replica lacks what the master acknowledges."""
        cut_off_replica_of(self.master)

    async def promote(self) -> None:
        """Make the replica the master of which Sentinel knows; the old one has been killed.

        Raises:
            AssertionError: It does not become the master.
        """
        assert self.sentinel is not None
        sentinel, new = self.sentinel, self.other

        def is_promoted() -> bool:
            said = sentinel.command(f"SENTINEL GET-MASTER-ADDR-BY-NAME {MASTER}")
            return f"\r\n{new.port}\r\n".encode() in said and _role(new) == b"master"

        def is_begun() -> bool:
            said = sentinel.command(f"SENTINEL FAILOVER {MASTER}")
            return said.startswith((b"+OK", b"-INPROG")) or is_promoted()

        await eventually(lambda: asyncio.to_thread(is_begun), within=IN_STEP_LIMIT_S)
        await eventually(lambda: asyncio.to_thread(is_promoted), within=IN_STEP_LIMIT_S)
        self.master = new

    async def start_again(self) -> None:
        """Start the master after it was killed; like `start`, it belongs to this thread."""
        self.master.launch()
        await asyncio.to_thread(self.master.wait_until_it_answers)

    async def start_as_replica(self) -> None:
        """Start the old master again, which now follows the new one."""
        self.other.launch(*self._follows())
        await asyncio.to_thread(self.other.wait_until_it_answers)

    async def in_step(self) -> None:
        """Wait until the replica has all that the master has, on its disk, too."""
        await eventually(lambda: asyncio.to_thread(self._is_in_step), within=IN_STEP_LIMIT_S)

    def _follows(self) -> tuple[str, str]:
        return ("--replicaof", f"127.0.0.1 {self.master.port}")

    def _is_in_step(self) -> bool:
        reached = _OFFSET.search(self.master.command("INFO replication"))
        replica = self.other.command("INFO replication")
        follows = _OFFSET.search(replica)
        if b"master_link_status:up" not in replica or not (reached and follows):
            return False
        is_writing = b"aof_rewrite_in_progress:0" not in self.other.command("INFO persistence")
        return not is_writing and int(follows[1]) >= int(reached[1])


def url_of(sentinel_port: int) -> str:
    return f"redis+sentinel://127.0.0.1:{sentinel_port}/{MASTER}/0"


def renaming(ports: Mapping[int, int]) -> Callable[[bytes], bytes]:
    """Return what makes a sentinel's answers name other ports: those of proxies.

    Args:
        ports: of each server, the one to name instead.
    """
    words = {_bulk(server): _bulk(proxy) for server, proxy in ports.items()}

    def rename(said: bytes) -> bytes:
        for real, told in words.items():
            said = said.replace(real, told)
        return said

    return rename


def _bulk(port: int) -> bytes:
    """Return a port as Redis writes one in an answer."""
    text = str(port)
    return f"${len(text)}\r\n{text}\r\n".encode()


def _role(server: RedisServer) -> bytes:
    return b"master" if b"role:master" in server.command("INFO replication") else b"slave"
