"""When a warm pool that cannot be filled is tried again, and what people are told meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable

from hwprovisioner.resourcemanager.backoff import Backoff
from hwprovisioner.resourcemanager.errors import DriverError, Later

_log = logging.getLogger(__name__)

#: What has failed so often in a row is told: it may need a person. Holds do without the pool.
TELL_AFTER = 3


class Filling:
    """How the pool of one resource gets on. It is filled as long as it is there."""

    def __init__(self, resource: str, backoff: Backoff, changed: Callable[[], None]) -> None:
        self._resource = resource
        self._backoff = backoff
        self._changed = changed
        self._tries = 0
        self._not_before = 0.0
        #: Why it is not full, for people to read; empty if it is, or soon may be.
        self.trouble = ""

    def is_due(self, now: float) -> bool:
        """Say whether to try now."""
        return now >= self._not_before

    def next_at(self, now: float) -> list[float]:
        """Return when to try again; nothing if that is now."""
        return [] if self.is_due(now) else [self._not_before]

    def worked(self) -> None:
        """Take note that an instance was made."""
        self._tries = 0
        self._say("")

    def failed(self, error: DriverError | OSError, now: float) -> None:
        """Take note that one was not."""
        self._tries += 1
        delay_s = self._backoff.delay_s(self._tries)
        self._not_before = now + delay_s
        level = logging.INFO if isinstance(error, Later) else logging.WARNING
        words = f"the pool cannot be filled: {error}"
        _log.log(level, "%s: %s; next try in %.1f s", self._resource, words, delay_s)
        if self._tries >= TELL_AFTER:
            self._say(words)

    def _say(self, words: str) -> None:
        if words != self.trouble:
            self.trouble = words
            self._changed()
