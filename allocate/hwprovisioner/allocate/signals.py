"""What replicas tell one another at once, over Redis' Pub/Sub.

It may be missed, while the connection is away say. So whoever tells something tells it again until
there is an answer, and whoever waits looks again by itself.
"""

import asyncio
import logging
from collections.abc import Callable

from google.protobuf.message import DecodeError

from hwprovisioner.state.channels import read_signal
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.pubsub import Ear

_log = logging.getLogger(__name__)

Listener = Callable[[str, str], None]
"""Told whom or what a signal is about, and its words."""


class Signals:
    """Hears what the replicas of one lab tell, this one too."""

    def __init__(self, ear: Ear, keys: Keys) -> None:
        """Hear it by `ear`."""
        self._listeners: dict[str, Listener] = {}
        self.hears = asyncio.Event()
        """Whether signals come in at present."""
        ear.on(keys.signals, self._hear)
        ear.link.listen(self._become)

    def on(self, kind: str, listener: Listener) -> None:
        """Tell `listener` each signal of a kind; there is one for each."""
        self._listeners[kind] = listener

    def _become(self, is_connected: bool) -> None:
        if is_connected:
            self.hears.set()
        else:
            self.hears.clear()

    def _hear(self, channel: str, text: str) -> None:
        try:
            kind, name, words = read_signal(text)
            if (listener := self._listeners.get(kind)) is not None:
                listener(name, words)
        except (ValueError, DecodeError):
            # Of another version, or of no replica at all; it must not take this one down.
            _log.warning("a signal that cannot be understood is ignored")
