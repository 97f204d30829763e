"""Commands on a machine that is reached by SSH: each to its end, or to that of the connection."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
from collections.abc import Sequence
from typing import Annotated

import asyncssh
from pydantic import BeforeValidator, Field, WithJsonSchema

from hwprovisioner.resourcemanager.driver import Report
from hwprovisioner.resourcemanager.drivers._lines import LineSplitter
from hwprovisioner.resourcemanager.drivers._remote_leash import leashed
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.schema import Section, Span


class Cut(DriverError):
    """A command was ended from outside: by a signal, or with the connection."""


class CommandSection(Section):
    """A command for the machine's shell."""

    run: Annotated[str, Field(min_length=1)]
    timeout: Span | None = None
    #: Gives it a terminal, so that it ends with the connection. sshd refuses the signal that is
    #: sent otherwise when the login is root's.
    pty: bool = False


def _command(value: object) -> object:
    return {"run": value} if isinstance(value, str) else value


Command = Annotated[
    CommandSection,
    BeforeValidator(_command),
    WithJsonSchema(
        {
            "oneOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {
                        "run": {"type": "string"},
                        "timeout": {"type": "string"},
                        "pty": {"type": "boolean"},
                    },
                    "required": ["run"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


async def run_all(
    connection: asyncssh.SSHClientConnection, commands: Sequence[CommandSection], report: Report
) -> None:
    """Run commands in order until one fails, reporting what they print.

    Raises:
        DriverError: As in `run`.
    """
    for command in commands:
        await run(connection, command, report)


async def run(
    connection: asyncssh.SSHClientConnection, command: CommandSection, report: Report
) -> str:
    """Run a command to its end, reporting what it prints, and return the last line of that.

    Raises:
        Cut: It was ended by a signal, or the connection was lost.
        DriverError: It ends with a status other than 0, or not within its time.
    """
    shown = _shown(command.run)
    report(f"$ {shown}")
    try:
        async with asyncio.timeout(command.timeout):
            return await _run(connection, command, report)
    except TimeoutError:
        limit = f"{command.timeout:g} s" if command.timeout is not None else "its limit"
        raise DriverError(f"`{shown}` was not done within {limit}") from None
    except (OSError, asyncssh.Error) as error:
        raise Cut(f"connection lost during `{shown}`: {error}") from error


async def run_script(connection: asyncssh.SSHClientConnection, script: str, *words: str) -> str:
    """Run a script of ours by `sh` with words as its arguments, and return what it prints.

    It dies with the connection.

    Raises:
        DriverError: It ends with a status other than 0; or the connection was lost.
    """
    command = leashed(f"exec sh -c {shlex.join([script, 'hwp', *words])}")
    try:
        process = await connection.create_process(command, encoding=None)
        try:
            out, said = await process.communicate()
            await process.wait_closed()
        finally:
            process.close()
    except (OSError, asyncssh.Error) as error:
        raise DriverError(f"connection lost: {error}") from error
    if process.exit_status != 0:
        lines = _text(said).strip().splitlines()
        raise DriverError(lines[-1] if lines else f"no answer: {_ending(process)}")
    return _text(out)


async def _run(
    connection: asyncssh.SSHClientConnection, command: CommandSection, report: Report
) -> str:
    lines = LineSplitter(report)
    process: asyncssh.SSHClientProcess[bytes] = await connection.create_process(
        command.run if command.pty else leashed(command.run),
        stderr=asyncssh.STDOUT,
        encoding=None,
        term_type="dumb" if command.pty else None,
    )
    try:
        while data := await process.stdout.read(65_536):
            lines.feed(data)
        await process.wait_closed()
    finally:
        # Ends what still runs: its terminal is gone, or its input, see `leashed`.
        process.close()
    lines.finish()
    if process.exit_status != 0:
        words = f"`{_shown(command.run)}` ended with {_ending(process)}"
        kind = Cut if _was_cut(process) else DriverError
        raise kind(f"{words}: {lines.last}" if lines.last else words)
    return lines.last


def _text(data: bytes | str | None) -> str:
    return data.decode(errors="replace") if isinstance(data, bytes) else data or ""


def _was_cut(process: asyncssh.SSHClientProcess[bytes]) -> bool:
    # More than 128 is how a shell says that a signal ended something.
    return process.exit_status is None or not 0 <= process.exit_status <= 128


def _ending(process: asyncssh.SSHClientProcess[bytes]) -> str:
    if process.exit_signal is not None:
        return f"signal {process.exit_signal[0]}"
    if process.exit_status is None:
        return "no status: the connection was lost"
    # So the shell that leashes a command says that a signal ended it.
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(process.exit_status - 128).name.removeprefix('SIG')}"
    return f"status {process.exit_status}"


def _shown(command: str) -> str:
    line = " ".join(command.split())
    return line if len(line) <= 100 else f"{line[:100]}…"
