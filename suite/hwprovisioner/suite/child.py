"""A child process: started, watched until it is ready, started again when it dies, stopped."""

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from .errors import ChildFailed
from .leash import leashed
from .lines import follow_lines

#: So many starts in a row that come to nothing end `hwp up`.
STARTS = 3
#: Exit status of a service that cannot start as it is set up; a second try changes nothing.
WRONG_SETTINGS = 78
#: Exit status of a resource manager whose id another one took; a second try would take it back.
SUPERSEDED = 3
_FINAL = frozenset({WRONG_SETTINGS, SUPERSEDED})
#: A child that ran for so long is taken to be well again.
WELL_AFTER_S = 10.0
BACKOFF_S = (0.2, 5.0)
LAST_LINES = 15
_LOOK_S = (0.02, 0.2)
#: After so long, and then each time again, it is said what a child is not ready for.
SAY_EVERY_S = 5.0
#: What a child's own children may hold its output open for.
_OUTPUT_LIMIT_S = 1.0
_KILL_LIMIT_S = 5.0


class Console(Protocol):
    """Where people read what happens."""

    def say(self, line: str) -> None:
        """Show what `hwp up` itself says."""

    def log(self, name: str, line: str) -> None:
        """Show a line of a child's output."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a child process is.

    Attributes:
        name: for people.
        command: its first word is an absolute path.
        environment: all of it.
        missing: says why it is not ready yet, empty once it is.
        inherit: file descriptors that it gets.
        on_orphaned: what it is sent when `hwp up` is killed.
        stop_limit_s: how long it may take to stop.
        quiet: its output is shown only when it fails.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    missing: Callable[[], Awaitable[str]]
    inherit: tuple[int, ...] = ()
    on_orphaned: signal.Signals = signal.SIGKILL
    stop_limit_s: float = 10.0
    quiet: bool = False


class Child:
    """A program that is kept running.

    Args:
        program: what to run.
        console: told what happens.
        gives_up: end when it dies again and again at its start; otherwise wait for `restart`.
    """

    def __init__(self, program: Program, console: Console, *, gives_up: bool = True) -> None:
        self.program = program
        self.ready = asyncio.Event()
        self._console = console
        self._gives_up = gives_up
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._called = asyncio.Event()
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self.was_killed = False
        self._starts = 0

    async def run(self) -> None:
        """Keep it running until `stop`.

        Raises:
            ChildFailed: it died again and again before it was ready, or in a way that another start
            does not change.
        """
        loop = asyncio.get_running_loop()
        futile = deaths = 0
        while not self._stopping.is_set():
            self._called.clear()
            started = loop.time()
            status = await self._run_once()
            was_ready = self.ready.is_set()
            self.ready.clear()
            if self._stopping.is_set():
                return
            if self._called.is_set():
                futile = deaths = 0
                continue
            futile = 0 if was_ready else futile + 1
            deaths = 1 if loop.time() - started > WELL_AFTER_S else deaths + 1
            how = describe_status(status)
            if self._gives_up and (futile >= STARTS or status in _FINAL):
                raise ChildFailed(self.program.name, how, tuple(self._last_lines))
            await self._pause(how, min(BACKOFF_S[0] * 2 ** (deaths - 1), BACKOFF_S[1]))

    async def stop(self) -> None:
        """End it: asked first, killed after its time limit (then `was_killed`)."""
        self._stopping.set()
        self._called.set()
        await self._end()

    async def restart(self) -> None:
        """End it, so that it starts again at once; also out of a pause between two starts."""
        self._called.set()
        await self._end()

    def kill(self) -> None:
        """End it and what it started at once."""
        if self._process is not None and self._process.returncode is None:
            self.was_killed = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _end(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(self.program.stop_limit_s):
                await process.wait()
        except TimeoutError:
            limit = self.program.stop_limit_s
            self._console.say(f"{self.program.name} did not stop within {limit:g} s; killing it")
            self.kill()
            async with asyncio.timeout(_KILL_LIMIT_S):
                await process.wait()

    async def _pause(self, how: str, pause_s: float) -> None:
        name = self.program.name
        self._console.say(f"{name} {how}; starting it again in {pause_s:g} s")
        if self.program.quiet:
            for line in self._last_lines:
                self._console.log(name, line)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._called.wait()

    async def _run_once(self) -> int:
        """Run it until it ends, and return its exit status."""
        self._last_lines.clear()
        self._starts += 1
        output, its_end = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *leashed(self.program.command, self.program.on_orphaned),
                stdin=asyncio.subprocess.DEVNULL,
                # A pipe of our own: asyncio's would make `wait` wait for whoever inherits it.
                stdout=its_end,
                stderr=its_end,
                env=dict(self.program.environment),
                pass_fds=self.program.inherit,
                # A group of its own: Ctrl-C reaches `hwp up` first, which stops in order.
                start_new_session=True,
            )
        except OSError as error:
            os.close(output)
            raise ChildFailed(self.program.name, str(error), ()) from error
        finally:
            os.close(its_end)
        async with asyncio.TaskGroup() as group:
            name = self.program.name
            reader = group.create_task(follow_lines(output, self._heard), name=f"{name}-output")
            looker = group.create_task(self._look(), name=f"{name}-ready")
            if self._stopping.is_set() or self._called.is_set():  # asked while it was being started
                await self._end()
            status = await self._process.wait()
            looker.cancel()
            await asyncio.wait([reader], timeout=_OUTPUT_LIMIT_S)
            reader.cancel()
        return status

    def _heard(self, line: str) -> None:
        self._last_lines.append(line)
        if not self.program.quiet:
            self._console.log(self.program.name, line)

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        interval_s, say_at = _LOOK_S[0], loop.time() + SAY_EVERY_S
        while missing := await self.program.missing():
            if loop.time() > say_at:
                self._console.say(f"waiting for {self.program.name}: {missing}")
                say_at = loop.time() + SAY_EVERY_S
            await asyncio.sleep(interval_s)
            interval_s = min(interval_s * 1.5, _LOOK_S[1])
        self.ready.set()
        if self._starts > 1:
            self._console.say(f"{self.program.name} is back")


def describe_status(status: int) -> str:
    """Return how a process ended, for people."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
