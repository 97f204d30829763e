"""The embedded server for state: nothing to install, no root, no Docker, and nothing is lost."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from .child import Program
from .server_program import ServerProgram, find_server
from .state_folder import StateFolder

#: Writing its files out takes as long as the disk does.
STOP_LIMIT_S = 20.0
ASK_LIMIT_S = 2.0


class EmbeddedState:
    """A server for state in a state folder.

    Args:
        folder: held by this process.
        environ: to find the server's program with.

    Raises:
        NoServerFound: there is no program.
        ServerMismatch: the program cannot read what is in the folder.
    """

    def __init__(self, folder: StateFolder, environ: Mapping[str, str]) -> None:
        self.server: ServerProgram = find_server(environ)
        folder.check_server(self.server)
        self._folder = folder
        self.socket: Path = folder.socket_path()

    def __str__(self) -> str:
        return f"{self.server}, embedded"

    @property
    def url(self) -> str:
        """Where it listens, as the services read it."""
        return f"unix://{quote(str(self.socket))}?db=0"

    def program(self) -> Program:
        """Return it as a program to be run."""
        return Program(
            name="state",
            command=self._command(),
            environment={name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            missing=self.missing,
            inherit=(self._folder.lock,),
            on_orphaned=signal.SIGTERM,
            stop_limit_s=STOP_LIMIT_S,
            quiet=True,
        )

    async def missing(self) -> str:
        """Return why it cannot be used yet, empty if it can."""
        try:
            async with asyncio.timeout(ASK_LIMIT_S):
                return await self._ping()
        except TimeoutError:
            return "does not answer"
        except OSError as error:
            return error.strerror or str(error)

    async def _ping(self) -> str:
        reader, writer = await asyncio.open_unix_connection(self.socket)
        try:
            writer.write(b"PING\r\n")
            await writer.drain()
            answer = await reader.readline()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return "" if answer == b"+PONG\r\n" else answer.decode(errors="replace").strip()

    def _command(self) -> tuple[str, ...]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            # The server changes into it, so every path is absolute.
            "dir": str(self._folder.data),
            # What is acknowledged is on the disk. Costs nothing when many write at once.
            "appendonly": "yes",
            "appendfsync": "always",
            "save": "",
            # The lab listens for expired keys.
            "notify-keyspace-events": "Kx",
            # A full memory refuses writes; it never forgets an allocation.
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "supervised": "no",
            "logfile": "",
        }
        words = (word for name, value in settings.items() for word in (f"--{name}", value))
        return (self.server.path, *words)
