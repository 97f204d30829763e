"""When a moment of Redis' clock comes, by the clock of this process. Pure."""

from collections import deque

_SINCE_S = 2.0
"""So old answers count no longer: clocks are set, and go differently fast."""
_MOST = 64


class Moments:
    """Reckons it from the answers that came fastest.

    An answer says the time in whole ms, and is some ms old when it is here. So each says how far
    the clocks are apart at most, and the least of that is the nearest. What is reckoned is late by
    what the fastest one took, and never early, except for up to 2 s after Redis' clock was set
    back.
    """

    def __init__(self) -> None:
        """Begin without an answer."""
        self._apart_s: deque[tuple[float, float]] = deque(maxlen=_MOST)
        self._least_s = 0.0

    def heard(self, redis_ms: int, now_s: float) -> None:
        """Note an answer that said `redis_ms`, and came at `now_s`."""
        while self._apart_s and now_s - self._apart_s[0][0] > _SINCE_S:
            self._apart_s.popleft()
        self._apart_s.append((now_s, now_s - redis_ms / 1000))
        self._least_s = min(apart_s for _, apart_s in self._apart_s)

    def at_s(self, redis_ms: int) -> float:
        """Return when it is `redis_ms` there; something must have been heard before."""
        return redis_ms / 1000 + self._least_s
