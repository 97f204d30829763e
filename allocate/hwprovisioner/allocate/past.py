"""How long requests of each class have waited, and how long allocations of it lasted."""

from collections.abc import Mapping, Sequence

KEPT = 64
"""So many times are remembered of each class, the newest."""
MAX_CLASSES = 20_000
_WARM = 3
"""With fewer, what was seen says nothing about what is to come."""


class Past:
    """The newest waits and spans of each class, in ms: as the scripts write them down in Redis."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.waits: dict[str, tuple[int, ...]] = {}
        self.spans: dict[str, tuple[int, ...]] = {}

    def remember(
        self, waits: Mapping[str, tuple[int, ...]], spans: Mapping[str, tuple[int, ...]]
    ) -> None:
        """Take over what Redis has."""
        self.waits, self.spans = dict(waits), dict(spans)

    def waited(self, class_id: str, wait_ms: int) -> None:
        """Note how long a request waited for its first grant."""
        _note(self.waits, class_id, wait_ms)

    def lasted(self, class_id: str, span_ms: int) -> None:
        """Note how long an allocation lasted that was ready."""
        _note(self.spans, class_id, span_ms)

    def span(self, class_id: str, share: float) -> int | None:
        """Return how long all but some allocations of a class lasted at most, None if unknown."""
        seen = self.spans.get(class_id, ())
        return quantile(seen, share) if len(seen) >= _WARM else None


def quantile(times: Sequence[int], share: float) -> int:
    """Return what a share (0 to 1) of some times are at most: the nearest rank; there is one."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def _note(times: dict[str, tuple[int, ...]], class_id: str, time_ms: int) -> None:
    if class_id not in times and len(times) >= MAX_CLASSES:
        del times[next(iter(times))]
    times[class_id] = (*times.get(class_id, ()), time_ms)[-KEPT:]
