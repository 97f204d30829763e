"""How long to wait before the next try."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter.

    Any time from 0 to a bound that doubles, up to a cap.
    """

    first_s: float
    cap_s: float
    #: Returns a number from 0 to 1; tests hand in their own.
    chance: Callable[[], float] = random.random

    def bound_s(self, tries: int) -> float:
        """Return the longest wait after so many failed tries, from 1 on."""
        return min(self.cap_s, self.first_s * 2.0 ** min(tries - 1, 62))

    def delay_s(self, tries: int) -> float:
        """Return how long to wait after so many failed tries, from 1 on."""
        return self.bound_s(tries) * self.chance()


#: Between attempts to reach the lab. After an outage that waits for its managers for 5 s before it
#: lends again.
RECONNECT = Backoff(first_s=0.2, cap_s=3.0)
#: Between attempts to clean a resource.
CLEANING = Backoff(first_s=1.0, cap_s=60.0)
#: Between attempts to repair a resource.
REPAIR = Backoff(first_s=10.0, cap_s=300.0)
#: Between attempts to make what there is no room for now.
LATER = Backoff(first_s=2.0, cap_s=30.0)
#: Between attempts to fill a warm pool, and to destroy what it gave up.
REFILL = Backoff(first_s=1.0, cap_s=60.0)


@dataclass(frozen=True, slots=True)
class Backoffs:
    """How long a manager waits between attempts of each sort."""

    cleaning: Backoff = CLEANING
    repair: Backoff = REPAIR
    later: Backoff = LATER
    refill: Backoff = REFILL
