"""Commands on granted hosts: here (`local`), or through the system's client of ssh or docker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from hwprovisioner.client.durations import Span, show, to_timedelta
from hwprovisioner.client.errors import CommandFailed, CommandTimeout, WrongHost
from hwprovisioner.client.facts import Connection
from hwprovisioner.client.ssh_trust import FIRST_SEEN, trust

Command = str | Sequence[str]
"""One line for `sh`, or a program and its arguments."""

KILL_GRACE_S = 2.0
"""How long a stopped command has to end by itself before it is killed."""
TAIL_CHARS = 2_000
"""How much of its complaint a failed command's error shows."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that has ended. Output is text; what is no UTF-8 is replaced."""

    command: str
    """As one line."""
    exit_code: int
    """Minus the signal's number if one ended it."""
    stdout: str
    stderr: str


def as_line(command: Command) -> str:
    """Writes a command as one line for `sh`."""
    return command if isinstance(command, str) else shlex.join(command)


def argv_for(
    host: str, connection: Connection, command: Command, trusted: Sequence[str] = FIRST_SEEN
) -> list[str]:
    """Says what to execute on this machine so that the command runs on the host. Pure.

    Args:
        host: What the demand calls it.
        connection: How it is reached.
        command: What is to run there.
        trusted: Options that tell ssh whom to trust.

    Raises:
        WrongHost: The host is not reached by `local`, `ssh` or `docker`.
    """
    match connection.protocol:
        case "local":
            return ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
        case "ssh":
            return [*_ssh(connection), *trusted, "--", connection.address, as_line(command)]
        case "docker" if "container" in connection.properties:
            program = ["/bin/sh", "-c", command] if isinstance(command, str) else list(command)
            return [*_docker_exec(connection), *program]
        case protocol:
            raise WrongHost(
                f"host {host!r} is reached by {protocol or 'nothing'!r}, and commands can be run"
                " over 'local', 'ssh' and 'docker' only; use host.connection with a client for that"
                " protocol",
                reason="PROTOCOL_UNKNOWN",
                metadata={"host": host, "protocol": protocol},
            )


def _ssh(connection: Connection) -> list[str]:
    """The system's client, never asking anything."""
    argv = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-o", "LogLevel=ERROR"]
    if connection.port:
        argv += ["-p", str(connection.port)]
    if connection.user:
        argv += ["-l", connection.user]
    if connection.key_file:
        key_file = os.path.expanduser(connection.key_file)
        argv += ["-i", key_file, "-o", "IdentitiesOnly=yes"]
    return argv


def _docker_exec(connection: Connection) -> list[str]:
    """The docker client; it asks the engine that the driver names."""
    argv = ["docker"]
    if engine := connection.properties.get("engine"):
        argv += ["--host", engine]
    argv += ["exec", "--interactive"]
    if connection.user:
        argv += ["--user", connection.user]
    return [*argv, connection.properties["container"]]


async def execute(
    host: str,
    connection: Connection,
    command: Command,
    *,
    check: bool = True,
    limit: Span | None = None,
    stdin: str | bytes | None = None,
) -> Completed:
    """Runs a command to its end. When cancelled, the command is stopped first.

    Of ssh and docker, only the client can be stopped on this side: what it had started may go on
    until the resource is cleaned.

    Raises:
        CommandFailed: The exit code was not 0, and `check` is set.
        CommandTimeout: It took too long, and was stopped.
        WrongHost: The host is not reached by `local`, `ssh` or `docker`.
    """
    with trust(connection) as trusted:
        argv = argv_for(host, connection, command, trusted)
        done = await _executed(argv, host, command, limit, stdin)
    if check and done.exit_code:
        raise _failed(CommandFailed, host, command, _why(done, connection), done)
    return done


async def _executed(
    argv: Sequence[str], host: str, command: Command, limit: Span | None, stdin: str | bytes | None
) -> Completed:
    limit_s = None if limit is None else to_timedelta(limit, "timeout").total_seconds()
    data = stdin.encode() if isinstance(stdin, str) else stdin
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE if data is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise _failed(CommandFailed, host, command, f"cannot be started: {error}") from None
    try:
        async with asyncio.timeout(limit_s):
            out, err = await process.communicate(data)
    except TimeoutError:
        assert limit_s is not None
        why = f"took longer than {show(limit_s)} and was stopped"
        raise _failed(CommandTimeout, host, command, why) from None
    finally:
        await _stop(process)
    assert process.returncode is not None
    return Completed(as_line(command), process.returncode, _text(out), _text(err))


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ends what still runs, with everything it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), KILL_GRACE_S)


def _why(done: Completed, connection: Connection) -> str:
    if done.exit_code == 255 and connection.protocol == "ssh":
        return "ended with exit code 255, which is also what ssh says when it cannot connect"
    if done.exit_code < 0:
        return f"was ended by signal {-done.exit_code}"
    return f"ended with exit code {done.exit_code}"


def _failed(
    kind: type[CommandFailed], host: str, command: Command, why: str, done: Completed | None = None
) -> CommandFailed:
    line = as_line(command)
    complaint = (done.stderr or done.stdout).strip()[-TAIL_CHARS:] if done else ""
    return kind(
        f"on host {host!r}, {line!r} {why}" + (f":\n{complaint}" if complaint else ""),
        host=host,
        command=line,
        exit_code=done.exit_code if done else None,
        stdout=done.stdout if done else "",
        stderr=done.stderr if done else "",
        reason="COMMAND_TIMEOUT" if kind is CommandTimeout else "COMMAND_FAILED",
    )


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
