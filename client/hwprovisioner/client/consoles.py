"""The serial console of a host, as a test uses it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from hwprovisioner.client.durations import Span, to_timedelta
from hwprovisioner.client.errors import LabError
from hwprovisioner.client.tunnel import Tunnel

_TAIL = 500
"""So much of what was seen last is in the error of `read_until`."""


class AsyncConsole:
    """A host's serial console: `async with host.console() as console`."""

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel
        self._seen = b""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._tunnel.close()

    async def read(self) -> bytes:
        """Waits for what the host says next; nothing when the console has ended.

        Raises:
            LeaseLost: The host is no longer the holder's.
            LabError: The console broke.
        """
        if self._seen:
            seen, self._seen = self._seen, b""
            return seen
        return await self._tunnel.read()

    async def read_until(self, expected: bytes | str, within: Span = "60s") -> bytes:
        """Reads up to some bytes, and gives everything up to their end.

        Args:
            expected: What to wait for, such as `login: `.
            within: For how long.

        Raises:
            LabError: It did not come in time (reason CONSOLE_TIMEOUT), or the console has ended; as
                `read`. What was read meanwhile is read again next.
        """
        wanted = expected.encode() if isinstance(expected, str) else expected
        limit_s = to_timedelta(within, "within").total_seconds()
        try:
            async with asyncio.timeout(limit_s):
                while (at := self._seen.find(wanted)) < 0:
                    if not (data := await self._tunnel.read()):
                        raise self._not_seen(wanted, "the console ended without", "CONSOLE_ENDED")
                    self._seen += data
        except TimeoutError:
            why = f"the console did not say within {limit_s:g} s:"
            raise self._not_seen(wanted, why, "CONSOLE_TIMEOUT") from None
        end = at + len(wanted)
        found, self._seen = self._seen[:end], self._seen[end:]
        return found

    async def write(self, data: bytes | str) -> None:
        """Types something.

        Raises:
            LeaseLost: The host is no longer the holder's.
            LabError: The console broke.
        """
        await self._tunnel.write(data.encode() if isinstance(data, str) else data)

    def _not_seen(self, wanted: bytes, why: str, reason: str) -> LabError:
        tail = self._seen[-_TAIL:].decode(errors="replace")
        shown = wanted.decode(errors="replace")
        return LabError(
            f"{why} {shown!r}" + (f"; it said last: {tail!r}" if tail else ""), reason=reason
        )
