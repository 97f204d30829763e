"""How many instances a warm pool is to have."""

from __future__ import annotations

from collections import deque

from hwprovisioner.resourcemanager.model import WarmPool


class Wanted:
    """As many as were asked for within an idle lifetime, within the pool's limits."""

    def __init__(self) -> None:
        self._asked: deque[float] = deque(maxlen=10_000)

    def asked(self, now: float) -> None:
        """Take note that one was asked for."""
        self._asked.append(now)

    def count(self, pool: WarmPool, now: float) -> int:
        """Return how many are wanted."""
        while self._asked and self._asked[0] <= now - pool.idle_s:
            self._asked.popleft()
        return min(max(pool.min, len(self._asked)), pool.max)

    def fewer_at(self, pool: WarmPool) -> list[float]:
        """Return when fewer will be wanted, if nobody else asks; nothing if never."""
        return [asked + pool.idle_s for asked in list(self._asked)[:1]]
