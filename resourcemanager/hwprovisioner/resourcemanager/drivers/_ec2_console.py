"""What a cloud instance says on its serial console, as a channel that only tells."""

from __future__ import annotations

import asyncio
import contextlib

from hwprovisioner.resourcemanager.drivers._ec2_api import Ec2Api

#: Between two looks: the API keeps the last 64 KiB, and is not to be asked often.
_LOOK_S = 5.0
#: How much of the last output has to be found again in the next, to tell what is new.
_TAIL = 1_024


class Console:
    """Reads what is said; both ends of the channel in one. What is typed is lost."""

    def __init__(self, api: Ec2Api, instance_id: str) -> None:
        self._api = api
        self._id = instance_id
        self._known = b""
        self._unread = b""
        self._asked = False
        self._closed = asyncio.Event()

    async def read(self, n: int = -1) -> bytes:
        """Return up to `n` bytes, none once it is closed."""
        while not self._unread and not self._closed.is_set():
            if self._asked:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._closed.wait()
            self._asked = True
            if not self._closed.is_set():
                self._take(await self._output())
        size = len(self._unread) if n < 0 else n
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def write(self, data: bytes) -> None:
        """Do nothing: the API has no way to type."""

    async def drain(self) -> None:
        """Do nothing."""

    def write_eof(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """End it."""
        self._closed.set()

    async def _output(self) -> bytes:
        answer = await self._api.read("get_console_output", InstanceId=self._id)
        return str(answer.get("Output") or "").encode()

    def _take(self, output: bytes) -> None:
        self._unread += new_part(self._known, output)
        self._known = output


def new_part(known: bytes, output: bytes) -> bytes:
    """Return what is new in an output, of which the beginning may be gone by now."""
    if output.startswith(known):
        return output[len(known) :]
    tail = known[-_TAIL:]
    at = output.rfind(tail)
    return output if at < 0 else output[at + len(tail) :]
