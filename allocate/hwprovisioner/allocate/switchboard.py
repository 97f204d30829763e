"""Calls of managers, whichever replica has their streams, and their answers.

What is told goes to the stream if it is here, else to all replicas. It is told again until there is
an answer: calls have ids, by which managers know what they have heard before.
"""

import asyncio
import base64
import contextlib
from collections.abc import Callable, Iterator

from hwprovisioner.allocate.signals import Signals
from hwprovisioner.serving import CODES, Refused
from hwprovisioner.state.channels import Channels
from hwprovisioner.v1.manager_stream_pb2 import CallDone, SubscribeResponse

_AGAIN_S = 3.0

Send = Callable[[SubscribeResponse], None]


class Switchboard:
    """Reaches the managers of a lab."""

    def __init__(self, channels: Channels, signals: Signals) -> None:
        """Reach those of other replicas over Redis."""
        self._channels = channels
        self._streams: dict[str, Send] = {}
        self._calls: dict[str, asyncio.Future[CallDone]] = {}
        signals.on("call", self._pass_on)
        signals.on("done", self._heard)

    @contextlib.contextmanager
    def reachable(self, manager_id: str, send: Send) -> Iterator[None]:
        """Have what is for a manager sent on its stream, which is at this replica."""
        self._streams[manager_id] = send
        try:
            yield
        finally:
            if self._streams.get(manager_id) is send:
                del self._streams[manager_id]

    async def keep_telling(self, manager_id: str, message: SubscribeResponse) -> None:
        """Tell a manager something now and then, until cancelled."""
        while True:
            if (send := self._streams.get(manager_id)) is not None:
                send(message)
            else:
                words = _packed(message.SerializeToString())
                await self._channels.tell("call", manager_id, words)
            await asyncio.sleep(_AGAIN_S)

    async def answer(self, call_id: str) -> None:
        """Wait until a call is done.

        Raises:
            Refused: it was not; the manager says why.
        """
        future = self._calls[call_id] = asyncio.get_running_loop().create_future()
        try:
            done = await future
        finally:
            del self._calls[call_id]
        if done.reason:
            raise failure(done.reason, done.message)

    async def done(self, done: CallDone) -> None:
        """Take the answer of a manager, whose stream is here, to whoever waits for it."""
        if not self._settle(done):
            await self._channels.tell("done", done.call_id, _packed(done.SerializeToString()))

    def _pass_on(self, manager_id: str, words: str) -> None:
        if (send := self._streams.get(manager_id)) is not None:
            send(SubscribeResponse.FromString(base64.b64decode(words)))

    def _heard(self, call_id: str, words: str) -> None:
        if call_id in self._calls:
            self._settle(CallDone.FromString(base64.b64decode(words)))

    def _settle(self, done: CallDone) -> bool:
        future = self._calls.get(done.call_id)
        if future is None:
            return False
        if not future.done():
            future.set_result(done)
        return True


def failure(reason: str, message: str) -> Refused:
    """Return what a manager says as a refusal; a reason that is not for it to give is the driver's.

    Managers are not of this process, so what they say is checked.
    """
    known = reason if reason in _REASONS else "DRIVER_FAILED"
    return Refused(known, message or "the manager does not say why")


_REASONS = frozenset({"NO_POWER_CONTROL", "NO_CONSOLE", "NOT_READY", "DRIVER_FAILED"})
assert _REASONS <= CODES.keys()


def _packed(data: bytes) -> str:
    return base64.b64encode(data).decode()
