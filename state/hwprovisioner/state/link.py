"""The link to Redis of everything that commits: one connection, kept up.

Unlike redis-py's client it never sends a command twice, and it costs a fraction of it, which the
path of heartbeats needs.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from hwprovisioner.state import scripts
from hwprovisioner.state.address import Address
from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.resp import CommandRefused, Connection, Published, packed, packed_each
from hwprovisioner.state.scripts import Script
from hwprovisioner.state.sentinel import find_master

_log = logging.getLogger(__name__)

#: The longest pauses between tries to connect, ms: doubled each time, up to the cap.
_BACKOFF_BASE_MS = 50
_BACKOFF_CAP_MS = 1000

_LOAD_TRIES = 3

Listener = Callable[[bool], None]
"""Told on each change whether Redis is connected."""

Greeting = Callable[[Connection], Awaitable[None]]
"""Done over each new connection before anything else is sent; fails as `Link.call` does."""


class Link:
    """A pipelined connection to Redis that reconnects by itself, as asynchronous context manager.

    Entering it does not wait for Redis: `call` does, for a bounded time, and `wait_connected`.

    Args:
        url: see `Address`; sentinels are asked anew for each connection.
        client_name: what ``CLIENT LIST`` shows.
        timeout_ms: a connection that owes a reply for so long (up to half of it longer) is given
        up.
        patience_ms: how long a call waits for a connection while there is none.
        retry_after_ms: what callers are told when Redis is away.
        decodes: replies are text; else they are bytes as they came.
        greeting: what is done first over each new connection.
        on_published: told what is published, where the greeting subscribes to anything.
    """

    def __init__(
        self,
        url: str,
        *,
        client_name: str = "hwp",
        timeout_ms: int = 5000,
        patience_ms: int = 1000,
        retry_after_ms: int = 500,
        decodes: bool = True,
        greeting: Greeting | None = None,
        on_published: Published | None = None,
    ) -> None:
        self.address = Address.from_url(url)
        self._client_name = client_name
        self._timeout_s = timeout_ms / 1000
        self._patience_s = patience_ms / 1000
        self._retry_after_ms = retry_after_ms
        self._decodes = decodes
        self._greeting = greeting
        self._on_published = on_published
        self._connection: Connection | None = None
        self._up = asyncio.Event()
        self._listeners: list[Listener] = []
        self._task: asyncio.Task[None] | None = None
        self._why_away = "there was no try to connect yet"
        self._tried = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep_up(), name=f"link to {self.address}")
        self._task.add_done_callback(_log_death)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether Redis is there, as far as is known."""
        return self._connection is not None

    @property
    def tried(self) -> bool:
        """Whether a try to connect has ended, well or not: before that nobody knows."""
        return self._tried

    @property
    def why_away(self) -> str:
        """Why Redis is not there, or was not when it was last away."""
        return self._why_away

    async def wait_connected(self) -> None:
        """Wait until Redis is there, however long that takes."""
        await self._up.wait()

    def listen(self, listener: Listener) -> None:
        """Tell `listener` now and on each change whether Redis is there."""
        self._listeners.append(listener)
        listener(self.connected)

    async def call(self, *args: str | int | bytes) -> Any:  # noqa: ANN401  # what Redis answers
        """Run a command and return its reply, text decoded.

        Raises:
            CommandRefused: Redis answered with an error.
            StateUnavailable: Redis is away, or went away under way: it may have run the command.
        """
        connection = self._connection or await self._wait_for_connection()
        try:
            return await connection.send(packed(*args))
        except StateUnavailable as error:
            error.retry_after_ms = self._retry_after_ms
            raise

    async def call_all(self, commands: Iterable[Sequence[str | int | bytes]]) -> list[Any]:
        """Run commands and return their replies in order; raises what `call` does.

        All of them are run, even if one is refused.
        """
        return await self._send_all(packed(*command) for command in commands)

    async def call_each(self, name: str, keys: Iterable[str], *args: str) -> list[Any]:
        """Run the same command on each of some keys; like `call_all`, at a third of its cost."""
        return await self._send_all(packed_each(name, keys, *args))

    async def _send_all(self, commands: Iterable[bytes]) -> list[Any]:
        connection = self._connection or await self._wait_for_connection()
        try:
            return await connection.send_all(list(commands))
        except StateUnavailable as error:
            error.retry_after_ms = self._retry_after_ms
            raise

    async def call_script(
        self, script: Script, keys: Sequence[str], args: Sequence[str | int | bytes]
    ) -> Any:  # noqa: ANN401  # what Redis answers
        """Run a script and return its reply; raises what `call` does."""
        for _ in range(_LOAD_TRIES):
            try:
                return await self.call("EVALSHA", script.sha, len(keys), *keys, *args)
            except CommandRefused as error:
                if error.word != "NOSCRIPT":
                    raise
            # A Redis that restarted, or another one: it has not run anything yet. It gets all
            # scripts, or those that are there would overtake those that have to be loaded first.
            texts = {script.text, *(scripts.script(name).text for name in scripts.names())}
            await asyncio.gather(*(self.call("SCRIPT", "LOAD", text) for text in texts))
        raise StateUnavailable(f"Redis keeps forgetting {script.name}", self._retry_after_ms)

    def renew(self, reason: str) -> None:
        """Make a new connection; calls under way fail, and later ones wait for it."""
        if self._connection is not None:
            self._connection.cut(reason)

    async def close(self) -> None:
        """End the connection; calls under way and later ones fail."""
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._why_away = "the link is closed"

    async def _wait_for_connection(self) -> Connection:
        if self._task is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience_s):
                    await self._up.wait()
        if self._connection is None:
            message = f"Redis at {self.address} is away: {self._why_away}"
            raise StateUnavailable(message, self._retry_after_ms)
        return self._connection

    async def _keep_up(self) -> None:
        """Connect, wait until that is lost, and again; after a failure later and later."""
        failures = 0
        while True:
            try:
                connection = await self._connect()
            except (OSError, TimeoutError, CommandRefused, StateUnavailable) as error:
                self._why_away, self._tried = str(error) or "it does not answer", True
                if failures == 0:
                    _log.warning("Redis at %s is away: %s", self.address, self._why_away)
                failures += 1
                await asyncio.sleep(full_jitter_s(failures))
                continue
            failures, self._tried = 0, True
            _log.info("connected to Redis at %s", self.address)
            self._become(connection)
            try:
                await asyncio.shield(connection.lost)
            except asyncio.CancelledError:
                self._become(None)
                connection.cut("the link is closed")
                raise

    async def _connect(self) -> Connection:
        """Return a connection that has logged in and chosen its database."""
        loop = asyncio.get_running_loop()
        address = self.address

        def protocol() -> Connection:
            return Connection(
                self._timeout_s,
                self._lose,
                decodes=self._decodes,
                on_published=self._on_published,
            )

        async with asyncio.timeout(self._timeout_s):
            if address.path:
                _, connection = await loop.create_unix_connection(protocol, address.path)
            else:
                host, port = address.host, address.port
                if address.sentinels:
                    host, port = await find_master(address)
                _, connection = await loop.create_connection(
                    protocol, host, port, ssl=address.tls_context()
                )
            try:
                await self._greet(connection)
            except BaseException:
                connection.cut("Redis refused the greeting")
                raise
        return connection

    async def _greet(self, connection: Connection) -> None:
        if self.address.password:
            login = [self.address.user] if self.address.user else []
            await _told(connection, "AUTH", *login, self.address.password)
        if self.address.database:
            await _told(connection, "SELECT", self.address.database)
        with contextlib.suppress(CommandRefused):  # Only a courtesy, and an ACL may forbid it.
            await _told(connection, "CLIENT", "SETNAME", self._client_name)
        await _told(connection, "PING")  # LOADING shows here.
        if self.address.sentinels and (await connection.send(packed("ROLE")))[0] != "master":
            raise StateUnavailable("a sentinel names a server that is no master yet, or no longer")
        if self._greeting is not None:
            await self._greeting(connection)

    def _lose(self, connection: Connection, reason: str) -> None:
        if connection is self._connection:
            _log.warning("%s", reason)
            self._why_away = reason
            self._become(None)

    def _become(self, connection: Connection | None) -> None:
        self._connection = connection
        if connection is None:
            self._up.clear()
        else:
            self._up.set()
        for listener in self._listeners:
            listener(self.connected)


def full_jitter_s(failures: int, *, chance: Callable[[], float] = random.random) -> float:
    """Return how long to wait after so many failures in a row (1 and more), in s.

    Any time up to a limit that doubles, so that those who lost the same server do not return as
    one.
    """
    limit_ms: int = min(_BACKOFF_CAP_MS, _BACKOFF_BASE_MS << min(failures, 16))
    return chance() * limit_ms / 1000


def _log_death(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        _log.error("%s died", task.get_name(), exc_info=task.exception())


async def _told(connection: Connection, *command: str | int) -> None:
    await connection.send(packed(*command))
