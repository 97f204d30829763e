"""A Redis with a replica, and a sentinel that watches them."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hwprovisioner.suite.leash import leashed
from support.redis_server import START_LIMIT_S, RedisServer, find_binary, free_port, running

MASTER = "lab"

_CONFIG = """\
port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor {master} 127.0.0.1 {watched} 1
sentinel down-after-milliseconds {master} {down_after_ms}
sentinel failover-timeout {master} 3000
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """The master at first, its replica, and whom to ask which is the master now."""

    first: RedisServer
    second: RedisServer
    sentinel_port: int

    @property
    def url(self) -> str:
        return f"redis+sentinel://127.0.0.1:{self.sentinel_port}/{MASTER}/0"

    def cut_off(self) -> None:
        """Let the replica hear nothing more; what the master acknowledges from now on it lacks."""
        cut_off_replica_of(self.first)


#: A user of its own for replication, so that the replica can be cut off.
REPLICATION = (
    *("--masteruser", "replication", "--masterauth", "secret"),
    *("--user", "replication", "on", ">secret", "+psync", "+replconf", "+ping"),
    *("--repl-diskless-sync-delay", "0"),
)


@contextlib.contextmanager
def watched_pair() -> Iterator[Pair]:
    with (
        running(*REPLICATION) as first,
        running(*REPLICATION, "--replicaof", f"127.0.0.1 {first.port}") as second,
        Sentinel(first, down_after_ms=300) as sentinel,
    ):
        yield Pair(first, second, sentinel.port)


class Sentinel:
    """One that watches a master with one replica, as context manager."""

    def __init__(self, watched: RedisServer, *, down_after_ms: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hwp-sentinel-")
        self._watched = watched
        self._down_after_ms = down_after_ms
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def __enter__(self) -> Self:
        # Sentinels look for replicas when they begin, and then not for 10 s.
        _wait_for(lambda: b"state=online" in self._watched.command("INFO replication"))
        config = Path(self._folder.name, "sentinel.conf")
        config.write_text(
            _CONFIG.format(
                port=self.port,
                folder=self._folder.name,
                master=MASTER,
                watched=self._watched.port,
                down_after_ms=self._down_after_ms,
            )
        )
        command = [os.path.abspath(find_binary()), str(config), "--sentinel"]
        self._process = subprocess.Popen(
            leashed(command, signal.SIGKILL), stdout=subprocess.DEVNULL, start_new_session=True
        )
        _wait_for(lambda: b"slaves=1" in self.command("INFO sentinel"))
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    def command(self, line: str) -> bytes:
        """Send one inline command; return the beginning of the raw reply, empty if none."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), START_LIMIT_S) as connection:
                connection.sendall(line.encode() + b"\r\n")
                return connection.recv(65536)
        except OSError:
            return b""


def cut_off_replica_of(master: RedisServer) -> None:
    """Let the replica hear nothing more; what the master acknowledges from now on it lacks."""
    assert master.command("ACL SETUSER replication off") == b"+OK\r\n"
    assert master.command("CLIENT KILL TYPE replica").startswith(b":")


def _wait_for(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.01)
