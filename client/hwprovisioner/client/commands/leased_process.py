"""A command that runs for as long as a lease does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence

from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.client.errors import LeaseLost

#: What a command may take to end once it is asked to.
STOP_LIMIT_S = 10.0
_PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCONT")


class LeasedProcess:
    """A command, and the signals that are passed on to it.

    In a terminal it stays in this process's group, as the shell would have it: the terminal sends
    Ctrl-C to both, so that is not passed on. Elsewhere it gets a group of its own, and whatever it
    starts is stopped with it.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = command
        self._environment = environment
        self._in_terminal = _owns_terminal()
        self._process: asyncio.subprocess.Process | None = None
        self._early: list[signal.Signals] = []

    async def run(
        self, over: Callable[[], Awaitable[None]], loss: Callable[[], LeaseLost | None]
    ) -> int:
        """Runs it, and gives its exit code; 128 and the signal's number if that ended it.

        Args:
            over: Waits until the lease is over.
            loss: Why it is.

        Raises:
            LeaseLost: It was stopped, because the lease was lost.
        """
        # Before it starts: it may be signalled as soon as it is there.
        self._pass_on_signals()
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *self._command,
                env=dict(self._environment),
                process_group=None if self._in_terminal else 0,
            )
        except OSError as error:
            sys.stderr.write(f"hwp: {self._command[0]} cannot be run: {error.strerror}\n")
            return ExitCode.CANNOT_RUN
        ending = asyncio.ensure_future(process.wait())
        try:
            for number in self._early:
                self._send(number)
            if not await _before(ending, over()):
                await self._stop(process)
                if (why := loss()) is not None:
                    raise why
        finally:
            # However this ends, nothing goes on running on hardware that is given back now.
            if not ending.done():
                await self._stop(process)
        code = await ending
        return code if code >= 0 else 128 - code

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        self._send(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_LIMIT_S)
        except TimeoutError:
            self._send(signal.SIGKILL)
            await process.wait()

    def _pass_on_signals(self) -> None:
        """Passes signals on to the command, which decides; this process ends when the command does.

        For good: a signal that comes when the command has ended is not to keep the hardware from
        being given back.
        """
        loop = asyncio.get_running_loop()
        for name in _PASSED_ON:
            if hasattr(signal, name):
                number = signal.Signals[name]
                loop.add_signal_handler(number, self._heard, number)

    def _heard(self, number: signal.Signals) -> None:
        if self._in_terminal and number in (signal.SIGINT, signal.SIGQUIT, signal.SIGWINCH):
            return
        if self._process is None:
            self._early.append(number)
        else:
            self._send(number)

    def _send(self, number: signal.Signals) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._in_terminal:
                process.send_signal(number)
            else:
                os.killpg(process.pid, number)


async def _before(ending: asyncio.Future[int], other: Awaitable[None]) -> bool:
    """Waits for the first of two, and says whether it was `ending`."""
    competitor = asyncio.ensure_future(other)
    try:
        await asyncio.wait((ending, competitor), return_when=asyncio.FIRST_COMPLETED)
    finally:
        competitor.cancel()
    return ending.done()


def _owns_terminal() -> bool:
    """Whether Ctrl-C of a terminal reaches this process's group, wherever its streams lead."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
