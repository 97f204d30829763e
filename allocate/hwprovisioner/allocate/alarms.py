"""Which alarm keys were touched when, and which leases are to be ended without them. Pure."""

from collections.abc import Collection, Iterable

SAFETY_NET_S = 0.1
"""An alarm that was touched and not announced within this time is acted upon anyway."""


class Alarms:
    """Remembers of each lease that is due when its alarm was touched.

    A lease that is due while others wait for their announcements waits no longer for that.
    """

    def __init__(self) -> None:
        self._touched: dict[str, float] = {}

    def look(self, due: Collection[str], now_s: float) -> tuple[list[str], list[str]]:
        """Take note of all leases that are due, by any clock.

        Returns:
            Those whose alarms are to be touched now, and those that are to be ended.
        """
        fresh = [lease for lease in due if lease not in self._touched]
        self._touched = {lease: self._touched.get(lease, now_s) for lease in due}
        return fresh, list(self._overdue(now_s))

    def wait_s(self, now_s: float) -> float | None:
        """Return how long until the next one is to be ended; None if none was touched just now."""
        waits = (at + SAFETY_NET_S - now_s for at in self._touched.values())
        return min((wait for wait in waits if wait > 0), default=None)

    def _overdue(self, now_s: float) -> Iterable[str]:
        return (lease for lease, at in self._touched.items() if now_s - at >= SAFETY_NET_S)
