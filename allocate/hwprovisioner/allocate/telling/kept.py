"""What was worked out, kept until something changes, or for longer if it took long."""

import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

REST = 50
"""What took a time to work out is kept for so many times as long, whatever changes: so no more
than a fiftieth of the time goes into it."""
_CHEAP_S = 0.0005
"""What took no longer is worked out anew whenever something has changed."""
_MOST = 4_096

T = TypeVar("T")


class Kept:
    """What was worked out for some version of the lab, by a key."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        effort: Callable[[], float] = time.thread_time,
    ) -> None:
        """Begin empty; `clock` tells seconds, `effort` those that this thread has worked."""
        self._clock = clock
        self._effort = effort
        self._found: dict[Hashable, tuple[int, float, float, Any]] = {}
        self.is_old = False
        """Whether something was told that was worked out before the last change. Whoever looks at
        it sets it back."""

    def get(self, key: Hashable, version: int, make: Callable[[], T], *, rest: int = REST) -> T:
        """Return what was made, made anew if the version has changed and it is time.

        What took a time to make is kept for `rest` times as long.
        """
        if found := self._found.get(key):
            made_for, since, took, value = found
            if made_for == version:
                return cast("T", value)
            if took > _CHEAP_S and self._clock() - since < took * rest:
                self.is_old = True
                return cast("T", value)
        begin = self._effort()
        value = make()
        if len(self._found) >= _MOST:
            self._found.clear()
        self._found[key] = version, self._clock(), self._effort() - begin, value
        return value
