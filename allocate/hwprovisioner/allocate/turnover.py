"""How long resources take after a use until they are clean, as was seen."""

import time
from collections.abc import Callable


class Turnover:
    """Remembers of each resource about how long its cleaning takes."""

    def __init__(self, machine_s: Callable[[], float] = time.monotonic) -> None:
        """Know nothing; `machine_s` is a clock that is never set."""
        self._machine_s = machine_s
        self._since: dict[str, float] = {}
        self._took: dict[str, int] = {}

    def begins(self, hold: str) -> None:
        """Note that what a hold had is being cleaned."""
        self._since[hold] = self._machine_s()

    def ends(self, hold: str, resource: str) -> None:
        """Note that it is clean. One that was quicker than usual is not trusted at once."""
        since_s = self._since.pop(hold, None)
        if since_s is not None:
            took_ms = round((self._machine_s() - since_s) * 1000)
            self._took[resource] = max(took_ms, self._took.get(resource, 0) * 3 // 4)

    def of(self, resource: str) -> int:
        """Return how long the cleaning of a resource takes, in ms; 0 if it was never seen."""
        return self._took.get(resource, 0)
