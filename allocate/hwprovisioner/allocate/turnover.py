"""How long resources take after a use until they are clean, as was seen."""

from hwprovisioner.allocate.lab_clock import LabClock


class Turnover:
    """Remembers of each resource about how long its cleaning takes."""

    def __init__(self, clock: LabClock) -> None:
        """Know nothing; `clock` tells the lab's time."""
        self._clock = clock
        self._since: dict[str, int] = {}
        self._took: dict[str, int] = {}

    def begins(self, hold: str) -> None:
        """Note that what a hold had is being cleaned."""
        self._since[hold] = self._clock.now_ms()

    def ends(self, hold: str, resource: str) -> None:
        """Note that it is clean. One that was quicker than usual is not trusted at once."""
        since_ms = self._since.pop(hold, None)
        if since_ms is not None:
            took_ms = max(0, self._clock.now_ms() - since_ms)
            self._took[resource] = max(took_ms, self._took.get(resource, 0) * 3 // 4)

    def of(self, resource: str) -> int:
        """Return how long the cleaning of a resource takes, in ms; 0 if it was never seen."""
        return self._took.get(resource, 0)
