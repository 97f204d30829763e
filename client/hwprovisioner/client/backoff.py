"""How long to wait before the next try: full jitter, one function."""

from __future__ import annotations

import random

from hwprovisioner.client.clock import Time

BASE_S = 0.1
CAP_S = 3.0


def full_jitter(
    attempt: int, draw: float, *, base_s: float = BASE_S, cap_s: float = CAP_S
) -> float:
    """Seconds before try number `attempt`: anything up to twice as much as the time before.

    Args:
        attempt: How many tries have failed, from 1.
        draw: A random number from 0 to 1, so that thousands that lost the same server spread out.
        base_s: The most after the first failure.
        cap_s: The most after many failures.
    """
    return draw * min(cap_s, base_s * 2.0 ** min(attempt - 1, 30))


class Backoff:
    """The waits of one row of tries."""

    def __init__(self, *, limit_s: float, time: Time) -> None:
        """Starts a row that is spent after `limit_s` seconds without success."""
        self._time = time
        self._limit_s = limit_s
        self.reset()

    def reset(self) -> None:
        """A try worked: the next failure is the first again."""
        self._attempt = 0
        self._spent_at = self._time.now() + self._limit_s

    @property
    def spent(self) -> bool:
        """Whether it is time to give up."""
        return self._time.now() >= self._spent_at

    async def wait(self) -> None:
        """Waits before the next try."""
        self._attempt += 1
        await self._time.sleep(full_jitter(self._attempt, random.random()))  # noqa: S311
