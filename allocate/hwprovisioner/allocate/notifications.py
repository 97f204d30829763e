"""Hearing from Redis that alarm keys have expired.

Notifications only wake: they are announced late and once, may be switched off, and are lost while
the connection is. So nothing depends on them (see `expiry.py`), and each new connection asks for a
sweep, since there was a gap.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.pubsub import Ear
from hwprovisioner.state.resp import CommandRefused, Connection, packed

_log = logging.getLogger(__name__)

_SETTING = "notify-keyspace-events"
_WANTED_FLAGS = "Kx"
"""Keyspace channels, expired events."""


class Notifications:
    """Listens for expired alarm keys of one lab."""

    def __init__(
        self,
        ear: Ear,
        keys: Keys,
        *,
        on_expired: Callable[[str], Awaitable[None]],
        on_gap: Callable[[], None],
    ) -> None:
        """Tell `on_expired` the id of each allocation whose alarm went off, `on_gap` of gaps."""
        self._prefix = keys.alarm("")
        self._on_expired = on_expired
        self._on_gap = on_gap
        self._tasks: asyncio.TaskGroup | None = None
        # The lab's braces are not special in a pattern, its name has no special characters.
        ear.on_keys(f"{self._prefix}*", self._hear, _switch_on)
        ear.link.listen(self._become)

    async def act(self) -> None:
        """Do what the alarms call for, until cancelled. None waits for another."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self._tasks = None

    def _become(self, is_connected: bool) -> None:
        if is_connected:
            self._on_gap()

    def _hear(self, channel: str, event: str) -> None:
        if event == "expired" and self._tasks is not None:
            self._tasks.create_task(self._expire(channel.split(self._prefix, 1)[1]))

    async def _expire(self, allocation_id: str) -> None:
        try:
            await self._on_expired(allocation_id)
        except StateUnavailable as error:
            _log.debug("left to the sweep: %s", error)


async def _switch_on(connection: Connection) -> None:
    """Add the flags that are wanted to those that are set; some Redis do not let one."""
    try:
        setting = await connection.send(packed("CONFIG", "GET", _SETTING))
        flags = str(setting[1]) if setting else ""
        has_expired = "x" in flags or "A" in flags
        if not ("K" in flags and has_expired):
            missing = "".join(flag for flag in _WANTED_FLAGS if flag not in flags)
            await connection.send(packed("CONFIG", "SET", _SETTING, flags + missing))
    except CommandRefused as error:
        _log.warning(
            "cannot switch keyspace notifications on (%s): leases still end in time, by the"
            " sweep; to have both, set %s to %s in Redis",
            *(error, _SETTING, _WANTED_FLAGS),
        )
