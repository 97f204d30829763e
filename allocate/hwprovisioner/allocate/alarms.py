"""Which alarm keys are to be touched when, and which leases are to be ended without them. Pure."""

from collections.abc import Collection, Mapping

SAFETY_NET_S = 0.1
"""An alarm that was touched and not announced within this time is acted upon anyway."""


class Alarms:
    """Remembers of each lease that is due when its alarm was touched.

    A lease that is due while others wait for their announcements waits no longer for that.
    """

    def __init__(self) -> None:
        self._touched: dict[str, float] = {}
        self._foreseen: Mapping[str, float] = {}
        self._looked_s = 0.0

    def foresee(self, leases: Mapping[str, float]) -> None:
        """Take note of when leases will be due, by the clock of `look`. Others are forgotten."""
        self._foreseen = leases

    def ripe(self, now_s: float) -> list[str]:
        """Return those that were foreseen to be due by now: their alarms are to be touched."""
        ripe = [lease for lease, at in self._foreseen.items() if at <= now_s]
        self._touched |= {lease: now_s for lease in ripe if lease not in self._touched}
        return ripe

    def look(self, due: Collection[str], now_s: float) -> tuple[list[str], list[str]]:
        """Take note of all leases that are due, by any clock that only goes forward.

        Returns:
            Those whose alarms are to be touched now, and those that are to be ended.
        """
        fresh = [lease for lease in due if lease not in self._touched]
        self._touched = {lease: self._touched.get(lease, now_s) for lease in due}
        self._looked_s = now_s
        return fresh, [lease for lease, at in self._touched.items() if at + SAFETY_NET_S <= now_s]

    @property
    def next_s(self) -> float | None:
        """When the next one is to be ended, by that clock; None if none waits for that."""
        ends = (at + SAFETY_NET_S for at in self._touched.values())
        return min((end for end in ends if end > self._looked_s), default=None)
