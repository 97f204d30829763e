"""What a cloud instance says on its serial console, as a channel that only tells."""

from __future__ import annotations

import asyncio
import contextlib

from hwprovisioner.resourcemanager.drivers._ec2_api import Ec2Api
from hwprovisioner.resourcemanager.drivers._terminal import Terminal

#: Between two looks: the API keeps the last 64 KiB, and is not to be asked often.
_LOOK_S = 5.0
#: How much of the last output has to be found again in the next, to tell what is new.
_TAIL = 1_024


class Console(Terminal):
    """Tells what is said. What is typed is lost."""

    def __init__(self, api: Ec2Api, instance_id: str) -> None:
        """Read the console of an instance from its beginning, as far as that is kept."""
        super().__init__()
        self._api = api
        self._id = instance_id
        self._known: bytes | None = None
        self._closed = asyncio.Event()

    async def next_chunk(self) -> bytes:
        """Return what is new once there is something."""
        new = b""
        while not new and not self._closed.is_set():
            if self._known is not None:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_S):
                        await self._closed.wait()
            if not self._closed.is_set():
                known, self._known = self._known or b"", await self._output()
                new = new_part(known, self._known)
        return new

    async def type_chunk(self, data: bytes) -> bool:
        """Do nothing: the API has no way to type."""
        return True

    async def release(self) -> None:
        """End it."""
        self._closed.set()

    async def _output(self) -> bytes:
        answer = await self._api.read("get_console_output", InstanceId=self._id)
        return str(answer.get("Output") or "").encode()


def new_part(known: bytes, output: bytes) -> bytes:
    """Return what is new in an output, of which the beginning may be gone by now."""
    if output.startswith(known):
        return output[len(known) :]
    tail = known[-_TAIL:]
    at = output.rfind(tail)
    return output if at < 0 else output[at + len(tail) :]
