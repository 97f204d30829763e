"""Starts what a case needs, on loopback and in a folder of its own, and surely ends it."""

import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from benchmarks.frame.talking import Talker

TOP = Path(__file__).resolve().parents[2]
# The one Redis that tests and benchmarks start.
sys.path.insert(0, str(TOP / "tests"))

from hwprovisioner.suite.leash import leashed  # noqa: E402
from support.redis_server import RedisServer, find_binary, free_port  # noqa: E402

START_LIMIT_S = 30.0
_STOP_LIMIT_S = 10.0
_LOOK_S = 0.01
_OURS = ("HWP_", "REDIS_", "ALLOCATE_API", "HEARTBEAT_API", "CONFIG_FILE")

_Process: TypeAlias = "subprocess.Popen[bytes] | subprocess.Popen[str]"


class Stage:
    """Processes with names. A context manager: when it ends they all have ended, even if killed.

    Attributes:
        folder: for whatever they keep.
        named: the process of each name.
        load: names of those that make load, which are no part of what is measured.
        spent_s: processor time of those that have ended already, all of a name together.
    """

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.folder = Path(tempfile.mkdtemp(prefix="hwp-bench-"))
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._processes: dict[str, _Process] = {}
        self.named: dict[str, int] = {}
        self.load: set[str] = set()
        self.spent_s: dict[str, float] = {}

    def __enter__(self) -> Self:
        _allow_many_files()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        load: bool = False,
        cores: Sequence[int] = (),
        folder: Path | None = None,
    ) -> "subprocess.Popen[bytes]":
        """Start a process, and wait until it is ready.

        Args:
            name: how it is told of, unique on the stage.
            command: its first word is found on PATH, and beside this Python before that.
            ready: says when it can be used.
            environment: beside what is in ours.
            load: it makes load.
            cores: the only ones that it may run on.
            folder: where it runs.
        """
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                _leashed(command),
                env=environment_with(environment),
                stdout=output,
                stderr=output,
                cwd=folder,
            )
        self._own(name, process, load, cores)
        deadline = time.monotonic() + START_LIMIT_S
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} does not start:\n{log.read_text(errors='replace')}")
            time.sleep(_LOOK_S)
        return process

    def talker(
        self, name: str, module: str, *arguments: str, load: bool = True, python: str = ""
    ) -> Talker:
        """Start a process that does what it is told (`talking.listen`).

        Args:
            name: as in `start`.
            module: of this project, or a file for another interpreter.
            arguments: for it.
            load: it makes load.
            python: another interpreter.
        """
        what = [module] if module.endswith(".py") else ["-m", module]
        command = _leashed([python or sys.executable, *what, *arguments])
        with (self.folder / f"{name}.log").open("wb") as output:
            process = subprocess.Popen(
                command,
                env=environment_with({"PYTHONPATH": str(TOP)}),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )
        self._own(name, process, load, ())
        return Talker(name, process, self.folder / f"{name}.log")

    def end(self, name: str) -> None:
        """End a process before the stage ends; another one may have its name then."""
        del self.named[name]
        with self.spending(name, load=name in self.load):
            _end(self._processes.pop(name))

    def redis(self, name: str = "redis", *options: str) -> RedisServer:
        """Start a Redis that has everything on the disk before it says so."""
        server = RedisServer(*options, durable=True, leash=True)
        self._stack.callback(server.close)
        server.start()
        self.named[name] = server.pid
        return server

    @contextlib.contextmanager
    def spending(self, name: str, *, load: bool) -> Iterator[None]:
        """Note what processes use that begin and end in the block, by one name."""
        before = _children_s()
        yield
        self.spent_s[name] = self.spent_s.get(name, 0.0) + _children_s() - before
        if load:
            self.load.add(name)

    def _own(
        self,
        name: str,
        process: _Process,
        load: bool,
        cores: Sequence[int],
    ) -> None:
        assert name not in self.named, name
        self._stack.callback(_end, process)
        self._processes[name] = process
        self.named[name] = process.pid
        if load:
            self.load.add(name)
        if cores:
            os.sched_setaffinity(process.pid, cores)


def listening(port: int) -> Callable[[], bool]:
    """Return what says whether somebody listens on a port of loopback."""

    def is_listening() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return is_listening


def _allow_many_files() -> None:
    """Let this process and what it starts have as many connections as the system allows at all."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _leashed(command: Sequence[str]) -> tuple[str, ...]:
    beside = Path(sys.executable).parent / command[0]
    program = str(beside) if beside.is_file() else shutil.which(command[0])
    if program is None:
        raise RuntimeError(f"there is no {command[0]}")
    return leashed([program, *command[1:]], signal.SIGKILL)


def environment_with(more: Mapping[str, str] | None) -> dict[str, str]:
    """Return our environment without settings of the project, and more."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {**ours, **(more or {})}


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _end(process: _Process) -> None:
    process.terminate()
    try:
        process.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


__all__ = [
    "START_LIMIT_S",
    "TOP",
    "RedisServer",
    "Stage",
    "environment_with",
    "find_binary",
    "free_port",
    "listening",
]
