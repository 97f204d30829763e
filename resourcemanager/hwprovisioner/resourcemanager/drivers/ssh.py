"""Driver `ssh`: a server or device reached by SSH, where commands ready it up and clean it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path as FilePath
from typing import Annotated, Any, ClassVar

import asyncssh
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from hwprovisioner.resourcemanager.driver import Driver, Report
from hwprovisioner.resourcemanager.drivers._lines import LineSplitter
from hwprovisioner.resourcemanager.drivers._remote_leash import leashed
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import Access, Connection, Hold, Kind, Resource
from hwprovisioner.resourcemanager.schema import Section, Span
from hwprovisioner.serving.problems import Path

#: Without an answer to so many keepalives in a row, so many seconds apart, the machine is gone.
_KEEPALIVES = 3
_KEEPALIVE_S = 10
#: How long a machine may take to answer and to let in.
_CONNECT_S = 15
#: How long logging out may take.
_FAREWELL_S = 2
#: The word for no check of the host key at all.
ANY_KEY = "any"


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


class SshOptions(Section):
    """What stands under `options`: commands that are run in order until one fails."""

    ready_up: list[Command] = Field(default_factory=list)
    tear_down: list[Command] = Field(default_factory=list)
    clean: list[Command] = Field(default_factory=list)


class SshDriver(Driver):
    """Lends a machine as it is after its ready-up commands. Reachable is healthy."""

    Options: ClassVar[type[BaseModel]] = SshOptions
    default_kind: ClassVar[Kind | None] = Kind.PHYSICAL_SERVER

    @classmethod
    def verify(cls, resource: Resource) -> Iterable[tuple[Path, str]]:
        """Yield what is wrong with its access."""
        access = resource.access
        if access is None:
            yield ("access",), "is needed by driver ssh, as in `access: {host: 192.168.1.10}`"
        elif access.host_key not in ("", ANY_KEY):
            try:
                _pinned(access.host_key)
            except asyncssh.KeyImportError as error:
                message = f"should be a public key as ssh-keyscan prints it, or `any`: {error}"
                yield ("access", "host_key"), message

    async def check(self) -> None:
        """Log in and out again."""
        async with _connected(self._access):
            pass

    async def prepare(self, hold: Hold, report: Report) -> Connection:
        """Run the ready-up commands. Without any, only see that the machine answers."""
        async with _connected(self._access) as connection:
            await _run_all(connection, self._options.ready_up, report)
        access = self._access
        return Connection(
            protocol="ssh",
            address=access.host,
            port=access.port,
            user=access.user,
            key_file=access.key_file,
            properties={"host_key": access.host_key} if access.host_key else {},
        )

    async def tear_down(self, hold: Hold, report: Report) -> None:
        """Run the tear-down commands."""
        await self._run(self._options.tear_down, report)

    async def clean(self, hold: Hold, report: Report) -> None:
        """Run the cleaning commands."""
        await self._run(self._options.clean, report)

    @property
    def _options(self) -> SshOptions:
        assert isinstance(self.resource.options, SshOptions)
        return self.resource.options

    @property
    def _access(self) -> Access:
        assert self.resource.access is not None
        return self.resource.access

    async def _run(self, commands: Sequence[CommandSection], report: Report) -> None:
        if commands:
            async with _connected(self._access) as connection:
                await _run_all(connection, commands, report)


async def _run_all(
    connection: asyncssh.SSHClientConnection, commands: Sequence[CommandSection], report: Report
) -> None:
    for command in commands:
        try:
            async with asyncio.timeout(command.timeout):
                await _run(connection, command, report)
        except TimeoutError:
            limit = f"{command.timeout:g} s" if command.timeout is not None else "its limit"
            raise DriverError(f"`{_shown(command.run)}` was not done within {limit}") from None
        except (OSError, asyncssh.Error) as error:
            message = f"connection lost during `{_shown(command.run)}`: {error}"
            raise DriverError(message) from error


async def _run(
    connection: asyncssh.SSHClientConnection, command: CommandSection, report: Report
) -> None:
    """Run a command to its end, reporting what it prints.

    Raises:
        DriverError: It ends with a status other than 0, or by a signal.
    """
    report(f"$ {_shown(command.run)}")
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
        raise DriverError(f"{words}: {lines.last}" if lines.last else words)


def _ending(process: asyncssh.SSHClientProcess[bytes]) -> str:
    if process.exit_signal is not None:
        return f"signal {process.exit_signal[0]}"
    if process.exit_status is None:
        return "no status: the connection was lost"
    # So the shell that leashes a command says that a signal ended it.
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(process.exit_status - 128).name.removeprefix('SIG')}"
    return f"status {process.exit_status}"


@asynccontextmanager
async def _connected(access: Access) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Log in, and out at the end.

    Raises:
        DriverError: The machine cannot be reached, is not the right one, or does not let us in.
    """
    connection = await _connect(access)
    try:
        yield connection
    finally:
        connection.close()
        # What was said last, such as a signal, should arrive; but the machine may be gone.
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await connection.wait_closed()
        except TimeoutError:
            connection.abort()


async def _connect(access: Access) -> asyncssh.SSHClientConnection:
    try:
        async with asyncio.timeout(_CONNECT_S):
            return await asyncssh.connect(access.host, access.port or 22, **_settings(access))
    except (OSError, asyncssh.Error) as error:
        raise DriverError(_why_not(access, error)) from error


def _why_not(access: Access, error: OSError | asyncssh.Error) -> str:
    """Return why a machine could not be logged in to, for the person who can change that."""
    port = access.port or 22
    where = f"{access.host}:{port}"
    match error:
        case TimeoutError():
            return f"{where} did not let us in within {_CONNECT_S} s"
        case asyncssh.HostKeyNotVerifiable():
            advice = f"`ssh-keyscan -p {port} {access.host}` prints it for access.host_key"
            return f"the host key of {where} is not trusted ({error}); {advice}"
        case asyncssh.PermissionDenied():
            key = f" with {access.key_file}" if access.key_file else ""
            return f"{where} does not let {access.user or 'us'}{key} in: {error.reason}"
        case OSError():
            return f"{where} cannot be reached: {error.strerror or error}"
        case _:
            return f"no SSH with {where}: {error.reason or error}"


def _settings(access: Access) -> dict[str, Any]:
    """Return what asyncssh is to use: what the resources file says and nothing else."""
    settings: dict[str, Any] = {
        "config": None,
        "keepalive_interval": _KEEPALIVE_S,
        "keepalive_count_max": _KEEPALIVES,
    }
    if access.user:
        settings["username"] = access.user
    if access.key_file:
        settings["client_keys"] = [_private_key(access.key_file)]
        settings["agent_path"] = None
    if access.host_key == ANY_KEY:
        settings["known_hosts"] = None
    elif access.host_key:
        settings["known_hosts"] = (_pinned(access.host_key), [], [])
    elif access.known_hosts:
        settings["known_hosts"] = str(FilePath(access.known_hosts).expanduser())
    return settings


def _private_key(file: str) -> asyncssh.SSHKey:
    try:
        return asyncssh.read_private_key(FilePath(file).expanduser())
    except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        raise DriverError(f"key file {file} cannot be used: {words}") from error


def _pinned(text: str) -> list[asyncssh.SSHKey]:
    """Return public keys, one a line, each with or without a host as ssh-keyscan prints it."""
    keys = []
    for line in text.splitlines():
        words = line.split()
        if words and not words[0].startswith("#"):
            start = 0 if "-" in words[0] and len(words) > 1 and words[1].startswith("AAAA") else 1
            keys.append(asyncssh.import_public_key(" ".join(words[start:])))
    if not keys:
        raise asyncssh.KeyImportError("there is no key in it")
    return keys


def _shown(command: str) -> str:
    line = " ".join(command.split())
    return line if len(line) <= 100 else f"{line[:100]}…"
