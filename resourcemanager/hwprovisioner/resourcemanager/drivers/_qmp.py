"""QEMU's monitor protocol: one command after the other on a unix socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from hwprovisioner.resourcemanager.driver import Channel
from hwprovisioner.resourcemanager.errors import DriverError

#: QEMU answers within milliseconds, unless its machine is in trouble.
_LIMIT_S = 10.0
#: Longer than any answer.
LONGEST_ANSWER = 1024 * 1024


class Qmp:
    """A connection that has shaken hands."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._events: list[str] = []

    async def greet(self) -> None:
        """Shake hands."""
        await self._within(self._next())
        await self.execute("qmp_capabilities")

    async def execute(self, command: str, **arguments: object) -> Any:  # noqa: ANN401  # JSON
        """Have a command carried out, and return what it returns.

        Raises:
            DriverError: QEMU refuses it, does not answer, or is gone.
        """
        return await self._within(self._execute(command, arguments))

    async def human(self, line: str) -> str:
        """Have a line of the monitor for people carried out; return what they would read."""
        return str(await self.execute("human-monitor-command", **{"command-line": line}))

    async def event(self, name: str) -> None:
        """Wait for an event that was not waited for before."""
        await self._within(self._event(name))

    async def _execute(self, command: str, arguments: dict[str, object]) -> object:
        question = {"execute": command, "arguments": arguments}
        self._writer.write(json.dumps(question).encode() + b"\n")
        await self._writer.drain()
        while True:
            answer = await self._next()
            if "error" in answer:
                raise DriverError(f"QEMU refuses {command}: {answer['error'].get('desc', '')}")
            if "return" in answer:
                return answer["return"]

    async def _event(self, name: str) -> None:
        while name not in self._events:
            await self._next()
        self._events.remove(name)

    async def _next(self) -> dict[str, Any]:
        line = await self._reader.readline()
        if not line:
            raise ConnectionResetError("it ended")
        message: dict[str, Any] = json.loads(line)
        if "event" in message:
            self._events.append(message["event"])
        return message

    async def _within(self, call: Coroutine[Any, Any, object]) -> object:
        try:
            async with asyncio.timeout(_LIMIT_S):
                return await call
        except TimeoutError:
            raise DriverError(f"QEMU has not answered for {_LIMIT_S:g} s") from None
        except (OSError, ValueError) as error:
            raise DriverError(f"the connection to QEMU is lost: {error}") from error


@asynccontextmanager
async def connected(
    dial: Callable[[], Coroutine[Any, Any, Channel]],
) -> AsyncIterator[Qmp]:
    """Talk to a machine's monitor, which listens to one at a time."""
    reader, writer = await dial()
    assert isinstance(reader, asyncio.StreamReader)
    assert isinstance(writer, asyncio.StreamWriter)
    try:
        qmp = Qmp(reader, writer)
        await qmp.greet()
        yield qmp
    finally:
        writer.close()
