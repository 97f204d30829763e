"""What Redis publishes, heard over a connection of its own.

Some of it is missed, while the connection is away say: each listener is told when there was a gap.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from hwprovisioner.state.link import Link
from hwprovisioner.state.resp import CommandRefused, Connection, packed

_log = logging.getLogger(__name__)

Hear: TypeAlias = Callable[[str, str], None]
"""Told on which channel something came, and the words."""
Prepare: TypeAlias = Callable[[Connection], Awaitable[None]]


class Ear:
    """Hears channels of one Redis. All are named before the link is entered.

    Attributes:
        link: the connection: who uses it keeps it up, and asks nothing over it.
    """

    def __init__(self, url: str, *, client_name: str) -> None:
        """Hear from the Redis at `url`, in its database where that matters."""
        self._channels: dict[str, Hear] = {}
        self._patterns: dict[str, Hear] = {}
        self._prepare: list[Prepare] = []
        self.link = Link(
            url, client_name=client_name, greeting=self._subscribe, on_published=self._hear
        )

    def on(self, channel: str, hear: Hear) -> None:
        """Tell `hear` what comes on a channel; there is one for each."""
        self._channels[channel] = hear

    def on_keys(self, pattern: str, hear: Hear, prepare: Prepare) -> None:
        """Tell `hear` what happens to keys of a pattern; the channel it is given ends with the key.

        `prepare` is done over each new connection before it listens, and may switch notifications
        on.
        """
        self._patterns[f"__keyspace@{self.link.address.database}__:{pattern}"] = hear
        self._prepare.append(prepare)

    async def _subscribe(self, connection: Connection) -> None:
        for prepare in self._prepare:
            await prepare(connection)
        for channel in self._channels:
            await connection.send(packed("SUBSCRIBE", channel))
        for pattern in self._patterns:
            try:
                await connection.send(packed("PSUBSCRIBE", pattern))
            except CommandRefused as error:  # no reason to be deaf to the rest
                _log.warning("Redis lets nobody hear %s: %s", pattern, error)

    def _hear(self, message: list[Any]) -> None:
        match message:
            case ["message", str(channel), str(words)]:
                self._channels[channel](channel, words)
            case ["pmessage", str(pattern), str(channel), str(words)]:
                self._patterns[pattern](channel, words)
