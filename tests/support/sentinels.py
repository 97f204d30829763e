"""A Redis with a replica, and a sentinel that watches them."""

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.redis_server import START_LIMIT_S, RedisServer, find_binary, free_port, running

MASTER = "lab"

_CONFIG = """\
port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor {master} 127.0.0.1 {watched} 1
sentinel down-after-milliseconds {master} 300
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
        # A user of its own for replication, which the master now refuses.
        assert self.first.command("ACL SETUSER replication off") == b"+OK\r\n"
        assert self.first.command("CLIENT KILL TYPE replica").startswith(b":")


@contextlib.contextmanager
def watched_pair() -> Iterator[Pair]:
    replication = (
        *("--masteruser", "replication", "--masterauth", "secret"),
        *("--repl-diskless-sync-delay", "0"),
    )
    with (
        running(*replication) as first,
        running(*replication, "--replicaof", f"127.0.0.1 {first.port}") as second,
    ):
        for server in (first, second):
            server.command("ACL SETUSER replication on >secret +psync +replconf +ping")
        # Sentinels look for replicas when they begin, and then not for 10 s.
        _wait_for(lambda: b"state=online" in first.command("INFO replication"))
        with _sentinel(first.port) as port:
            pair = Pair(first, second, port)
            _wait_for(lambda: b"slaves=1" in _said(port, "INFO sentinel"))
            yield pair


@contextlib.contextmanager
def _sentinel(watched: int) -> Iterator[int]:
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="hwp-sentinel-") as folder:
        config = Path(folder, "sentinel.conf")
        config.write_text(_CONFIG.format(port=port, folder=folder, master=MASTER, watched=watched))
        process = subprocess.Popen(
            [find_binary(), str(config), "--sentinel"],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _wait_for(lambda: _said(port, "PING") == b"+PONG\r\n")
            yield port
        finally:
            process.kill()
            process.wait()


def _said(port: int, line: str) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), START_LIMIT_S) as connection:
            connection.sendall(line.encode() + b"\r\n")
            return connection.recv(65536)
    except OSError:
        return b""


def _wait_for(check: object) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not check():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)
