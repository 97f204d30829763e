"""Hearing from Redis that alarm keys have expired.

Notifications only wake: they are announced late and once, may be switched off, and are lost while
the connection is. So nothing depends on them (see `expiry.py`), and each new subscription asks for
a sweep, since there was a gap.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.pubsub import check_not_cancelled

_log = logging.getLogger(__name__)

_WANTED_FLAGS = "Kx"
"""Keyspace channels, expired events."""
_RETRY_S = 1.0


class Notifications:
    """Listens for expired alarm keys of one lab."""

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        *,
        on_expired: Callable[[str], Awaitable[None]],
        on_gap: Callable[[], None],
    ) -> None:
        """Tell `on_expired` the id of each allocation whose alarm went off, `on_gap` of gaps."""
        self._redis = redis
        self._prefix = keys.alarm("")
        self._on_expired = on_expired
        self._on_gap = on_gap

    async def listen(self) -> None:
        """Listen until cancelled; Redis may go away and come back."""
        while True:
            try:
                await self._switch_on()
                await self._listen()
            except (RedisError, OSError, StateUnavailable) as error:
                _log.debug("no notifications for now: %s", error)
            await asyncio.sleep(_RETRY_S)

    async def _switch_on(self) -> None:
        """Add the flags that are wanted to those that are set; some Redis do not let one."""
        try:
            setting = await self._redis.config_get("notify-keyspace-events")
            flags = str(setting.get("notify-keyspace-events", ""))
            has_expired = "x" in flags or "A" in flags
            if not ("K" in flags and has_expired):
                missing = "".join(flag for flag in _WANTED_FLAGS if flag not in flags)
                await self._redis.config_set("notify-keyspace-events", flags + missing)
        except ResponseError as error:
            _log.warning(
                "cannot switch keyspace notifications on (%s): leases still end in time, by the"
                " sweep; to have both, set notify-keyspace-events to %s in Redis",
                *(error, _WANTED_FLAGS),
            )

    async def _listen(self) -> None:
        database = self._redis.connection_pool.connection_kwargs.get("db", 0)
        # The lab's braces are not special in a pattern, its name has no special characters.
        pattern = f"__keyspace@{database}__:{self._prefix}*"
        async with self._redis.pubsub() as pubsub:
            await pubsub.psubscribe(pattern)
            while True:
                message = await pubsub.get_message(timeout=1.0)
                check_not_cancelled()
                match message:
                    case {"type": "psubscribe"}:
                        self._on_gap()
                    case {"type": "pmessage", "data": "expired", "channel": str(channel)}:
                        await self._on_expired(channel.split(self._prefix, 1)[1])
