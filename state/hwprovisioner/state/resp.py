"""One connection to Redis: commands out, replies matched to them by their order."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias, cast

import hiredis

from hwprovisioner.state.errors import StateError, StateUnavailable

# Redis is there but cannot serve now: it loads its file, is a replica, is out of memory or disk...
_UNAVAILABLE = frozenset(
    "LOADING MASTERDOWN READONLY BUSY CLUSTERDOWN MISCONF NOREPLICAS OOM TRYAGAIN".split()
)


Published: TypeAlias = Callable[[list[Any]], None]
"""Told what came, whole: ``["message", CHANNEL, WORDS]`` or ``["pmessage", PATTERN, ...]``."""


class CommandRefused(StateError):
    """Redis refused a command: a bug of ours, or a right that its user lacks."""

    @property
    def word(self) -> str:
        """The first word of Redis' error, such as ``NOSCRIPT``, ``WRONGTYPE`` or ``NOPERM``."""
        return str(self).partition(" ")[0]


class Connection(asyncio.Protocol):
    """The protocol of one connection, from its being made to its loss.

    All commands of one turn of the loop are written at once. What a caller that was cancelled had
    asked for is answered nevertheless, and that reply is dropped.

    Attributes:
        lost: done when the connection is; its result says why.
    """

    def __init__(
        self,
        timeout_s: float,
        on_lost: Callable[["Connection", str], None],
        *,
        decodes: bool = True,
        on_published: Published | None = None,
    ) -> None:
        """Cut the connection when it owes a reply for `timeout_s`, up to half of it longer.

        `on_lost` is called at once when it is lost, before the calls under way fail. With `decodes`
        replies are text, else bytes. Who subscribes to anything hears it by `on_published`, and
        decodes.
        """
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._on_lost = on_lost
        self._on_published = on_published
        self._reader = hiredis.Reader(
            replyError=CommandRefused,
            encoding="utf-8" if decodes else None,
            errors="replace",
            notEnoughData=self,
        )
        self._transport: asyncio.Transport | None = None
        self._unwritten: list[bytes] = []
        self._awaited: deque[asyncio.Future[Any] | _Replies] = deque()
        self._replies = 0
        self._watch: asyncio.TimerHandle | None = None
        self.lost: asyncio.Future[str] = self._loop.create_future()

    def send(self, command: bytes) -> asyncio.Future[Any]:
        """Send a packed command; the future is its reply.

        It fails with `CommandRefused`, or with `StateUnavailable` if the connection is lost first:
        then nobody knows whether the command took effect.
        """
        future: asyncio.Future[Any] = self._loop.create_future()
        self._put([command], [future], future)
        return future

    def send_all(self, commands: Sequence[bytes]) -> asyncio.Future[list[Any]]:
        """Send packed commands; the future is the list of their replies, in order.

        It fails as that of `send` does, and with the first error: all commands are run all the
        same.
        """
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        if commands:
            self._put(commands, [_Replies(future, len(commands))] * len(commands), future)
        else:
            future.set_result([])
        return future

    def _put(
        self,
        commands: Sequence[bytes],
        awaited: Sequence["asyncio.Future[Any] | _Replies"],
        future: asyncio.Future[Any],
    ) -> None:
        if self.lost.done():
            future.set_exception(StateUnavailable(self.lost.result()))
            return
        if not self._unwritten:
            self._loop.call_soon(self._write)
        self._unwritten += commands
        self._awaited += awaited

    def cut(self, reason: str) -> None:
        """Give the connection up; whatever waits for a reply fails."""
        if self.lost.done():
            return
        self.lost.set_result(reason)
        self._on_lost(self, reason)
        if self._watch is not None:
            self._watch.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._unwritten.clear()
        for future in self._awaited:
            if not future.done():
                future.set_exception(StateUnavailable(reason))
        self._awaited.clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start watching it."""
        # uvloop's transports are none of asyncio's types.
        self._transport = cast(asyncio.Transport, transport)
        self._watch_from(self._replies)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is under way."""
        self.cut(f"the connection to Redis was lost: {exc or 'closed by the other side'}")

    def data_received(self, data: bytes) -> None:
        """Hand each complete reply to whoever waits for it."""
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not self:
                self._replies += 1
                if self._on_published is not None and _is_published(reply):
                    self._on_published(reply)
                else:
                    self._settle(self._awaited.popleft(), reply)
                if self.lost.done():
                    return
        except (hiredis.HiredisError, IndexError) as error:
            self.cut(f"what Redis answers makes no sense: {error!r}")

    def _settle(self, future: "asyncio.Future[Any] | _Replies", reply: object) -> None:
        error: StateError | None = None
        if isinstance(reply, CommandRefused):
            error = reply
            if reply.word in _UNAVAILABLE:
                error = StateUnavailable(f"Redis cannot serve now: {reply}")
        if future.done():
            pass
        elif error is None:
            future.set_result(reply)
        else:
            future.set_exception(error)
        if isinstance(reply, CommandRefused) and reply.word == "READONLY":
            # A replica: the name leads, or will lead, to the new primary.
            self.cut(f"Redis became a replica: {reply}")

    def _write(self) -> None:
        # One that is closing tells so in a moment; uvloop's raise if it was the other side.
        if self._transport and self._unwritten and not self._transport.is_closing():
            self._transport.write(b"".join(self._unwritten))
            self._unwritten.clear()

    def _watch_from(self, replies: int) -> None:
        """Look again in half the timeout: by then a reply must have come if one is owed."""
        self._watch = self._loop.call_later(self._timeout_s / 2, self._look, replies, 1)

    def _look(self, replies: int, looks: int) -> None:
        if self._replies != replies:
            self._watch_from(self._replies)
        elif not self._awaited:
            # Idle: ask for a sign of life, and be deaf to the answer.
            self.send(packed("PING")).add_done_callback(_ignore)
            self._watch_from(replies)
        elif looks >= _LOOKS:
            self.cut(f"Redis has not answered for {self._timeout_s:g} s")
        else:
            self._watch = self._loop.call_later(self._timeout_s / 2, self._look, replies, looks + 1)


class _Replies:
    """Takes the replies to several commands, and gives them all to one future."""

    def __init__(self, future: asyncio.Future[list[Any]], count: int) -> None:
        self._future = future
        self._count = count
        self._found: list[Any] = []

    def done(self) -> bool:
        return self._future.done()

    def set_result(self, reply: object) -> None:
        self._found.append(reply)
        if len(self._found) == self._count:
            self._future.set_result(self._found)

    def set_exception(self, error: StateError) -> None:
        self._future.set_exception(error)


def packed(*args: str | int | bytes) -> bytes:
    """Return a command as it goes over the wire."""
    # The stub describes a tuple of one.
    command: bytes = hiredis.pack_command(args)  # type: ignore[arg-type]
    return command


def packed_each(name: str, keys: Iterable[str], *args: str) -> Iterator[bytes]:
    """Return the same command for each of some keys, as it goes over the wire."""
    # What they have in common is packed once: `*COUNT`, then `$LENGTH` and a word for each word.
    start, _, rest = packed(name, "", *args).partition(b"$0\r\n\r\n")
    for key in keys:
        word = key.encode()
        yield b"%b$%d\r\n%b\r\n%b" % (start, len(word), word, rest)


def _is_published(reply: object) -> bool:
    return isinstance(reply, list) and reply[0] in ("message", "pmessage")


# A call may be sent right after one look, so a whole timeout has passed for it only at the third.
_LOOKS = 3


def _ignore(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()
