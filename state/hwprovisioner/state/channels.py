"""Channels between holders and hosts, as far as Redis has them.

The two ends of a channel may be at two replicas, which share nothing but Redis. What is on its way
stands in two short streams, one for each direction, so that nothing is lost and no more is kept
than there is room for. Pieces are numbered, so every call can be repeated. Whoever waits is woken
over Pub/Sub; since a signal may get lost, it looks again by itself now and then, too.

Nothing of this is in the change log: a channel is no part of the lab's state.
"""

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.state.scripts import script
from hwprovisioner.state.transitions import unexpected

_Reply = TypeVar("_Reply")

ROOM = 16
"""How many pieces of one direction may be on their way; of up to 64 KiB each."""
LIFE_MS = 20_000
"""A channel of which no end says for so long that it is there is given up."""
_TRIES = 5


class Side(StrEnum):
    """An end of a channel."""

    HOLDER = "holder"
    MANAGER = "manager"

    @property
    def other(self) -> "Side":
        """The end at the other side."""
        return Side.MANAGER if self is Side.HOLDER else Side.HOLDER


class What(StrEnum):
    """What a piece is."""

    OPENED = "opened"
    """The host is reached; the first piece from the manager, unless that is a failure."""
    DATA = "data"
    END = "end"
    """No more bytes will come from there."""
    DONE = "done"
    """The manager has all that the holder sent, to its end."""
    FAILURE = "failure"
    """The host cannot be reached, or no longer: a reason and words, as JSON."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What goes over a channel at once."""

    what: What
    data: bytes = b""


class Gone(Exception):
    """The channel has been closed, or whoever was at its other end has gone."""


class Channels:
    """The channels of one lab."""

    def __init__(self, link: Link, keys: Keys) -> None:
        """Work over `link`, which does not decode and is used for nothing else."""
        self._link = link
        self._keys = keys

    async def open(self, channel_id: str, allocation_id: str, most: int) -> bool:
        """Make a channel, unless its allocation has `most` of them."""
        reply = await self.run(
            "channel_open",
            (self._keys.channel(channel_id), self._keys.channels_of(allocation_id)),
            (channel_id, allocation_id, most, LIFE_MS),
        )
        match reply:
            case [b"OPENED"]:
                return True
            case [b"FULL"]:
                return False
        raise unexpected("channel_open", reply)

    async def claim(self, channel_id: str) -> str:
        """Take the manager's end, once, and return the allocation.

        Raises:
            Gone: there is no such channel, or somebody has taken it.
        """
        reply = await self.run(
            "channel_claim",
            (self._keys.channel(channel_id),),
            (self._keys.signals, wake(channel_id, Side.HOLDER)),
        )
        match reply:
            case [b"CLAIMED", bytes(allocation)]:
                return allocation.decode()
            case [b"TAKEN" | b"GONE"]:
                raise Gone
        raise unexpected("channel_claim", reply)

    async def push(self, channel_id: str, side: Side, number: int, piece: Piece) -> bool:
        """Send the next piece from one end, unless there is no room.

        Raises:
            Gone: the channel has been closed.
        """
        keys, to = self._keys, side.other

        async def attempt() -> Any:  # noqa: ANN401  # what Redis answers
            return await self.run(
                "channel_push",
                (keys.channel(channel_id), keys.pieces(channel_id, to)),
                (
                    *(side, number, ROOM, LIFE_MS, keys.signals, wake(channel_id, to)),
                    *(piece.what, piece.data),
                ),
            )

        reply = await _repeated(attempt)
        match reply:
            case [b"PUSHED"]:
                return True
            case [b"FULL"]:
                return False
            case [b"GONE"]:
                raise Gone
        raise unexpected("channel_push", reply)

    async def pull(self, channel_id: str, side: Side, read: int) -> list[Piece]:
        """Return what has come for one end after the piece numbered `read`, which is dropped.

        Raises:
            Gone: the channel has been closed.
        """
        keys = self._keys

        async def attempt() -> Any:  # noqa: ANN401  # what Redis answers
            return await self.run(
                "channel_pull",
                (keys.channel(channel_id), keys.pieces(channel_id, side)),
                (read, ROOM, keys.signals, wake(channel_id, side.other)),
            )

        reply = await _repeated(attempt)
        match reply:
            case [b"PULLED", *words]:
                rest = iter(words)
                return [
                    Piece(What(what.decode()), data) for what, data in zip(rest, rest, strict=True)
                ]
            case [b"GONE"]:
                raise Gone
        raise unexpected("channel_pull", reply)

    async def touch(self, channel_id: str, allocation_id: str, side: Side) -> int | None:
        """Say that one end is there.

        Returns:
            How long ago the other said so, in ms; None if it never did.

        Raises:
            Gone: the channel has been closed.
        """
        reply = await self.run(
            "channel_touch",
            (self._keys.channel(channel_id), self._keys.channels_of(allocation_id)),
            (channel_id, side, LIFE_MS),
        )
        match reply:
            case [b"TOUCHED", int(age_ms)]:
                return None if age_ms < 0 else age_ms
            case [b"GONE"]:
                raise Gone
        raise unexpected("channel_touch", reply)

    async def close(self, channel_id: str, allocation_id: str, side: Side) -> None:
        """End a channel, with whatever was not read; the other end is told."""
        keys = self._keys
        reply = await self.run(
            "channel_close",
            (
                keys.channel(channel_id),
                *(keys.pieces(channel_id, each) for each in Side),
                keys.channels_of(allocation_id),
            ),
            (channel_id, keys.signals, wake(channel_id, side.other)),
        )
        if reply != [b"CLOSED"]:
            raise unexpected("channel_close", reply)

    async def tell(self, kind: str, name: str, words: str) -> None:
        """Tell all replicas something that cannot wait; nobody knows whether they hear it."""
        await self._link.call("PUBLISH", self._keys.signals, signal(kind, name, words))

    async def run(
        self, name: str, keys: tuple[str, ...], args: tuple[str | int | bytes, ...]
    ) -> Any:  # noqa: ANN401  # what Redis answers
        """Run a script, as the server's clock has it."""
        return await self._link.call_script(script(name), keys, ("", *args))


def signal(kind: str, name: str, words: str) -> str:
    """Return what replicas tell one another as it goes over Pub/Sub."""
    return json.dumps([kind, name, words])


def read_signal(text: str) -> tuple[str, str, str]:
    """Return kind, name and words of what a replica has told."""
    kind, name, words = json.loads(text)
    return kind, name, words


def wake(channel_id: str, side: Side) -> str:
    """Return the signal that there is something for an end of a channel to see."""
    return signal("channel", channel_id, side)


async def _repeated(attempt: Callable[[], Coroutine[Any, Any, _Reply]]) -> _Reply:
    """Call again what Redis may have done or not, while Redis is away for a moment."""
    for _ in range(_TRIES - 1):
        try:
            return await attempt()
        except StateUnavailable:
            continue  # each call waits for a connection by itself
    return await attempt()
