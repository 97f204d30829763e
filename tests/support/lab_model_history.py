"""What the model of a lab remembers of its past, and the time."""

import hashlib
from collections import defaultdict

from support.lab_model_records import ModelAllocation, ModelResource

HOUR_MS = 3_600_000
LONGEST_GAP_MS = 2_000
NEWEST = 64
OUTCOMES = 32


class HistoryModel:
    """What was used, how long it was waited for, and what became of holds."""

    def __init__(self) -> None:
        self.now = 0
        self.looked: tuple[int, int] | None = None
        """When somebody looked last, and the steady time then."""
        self.use: dict[str, int] = defaultdict(int)
        self.waits: dict[str, list[int]] = defaultdict(list)
        self.spans: dict[str, list[int]] = defaultdict(list)

    @property
    def steady(self) -> int:
        """The time that durations go by: no step of the clock is in it, and no long gap."""
        if self.looked is None:
            return self.now
        at, steady = self.looked
        return steady + min(max(self.now - at, 0), LONGEST_GAP_MS)

    def look(self) -> None:
        self.looked = self.now, self.steady

    def _use(self, user: str, hosts: int, since: int) -> None:
        while since < self.steady:
            hour = since // HOUR_MS
            until = min(self.steady, (hour + 1) * HOUR_MS)
            self.use[f"{hour}:{user}"] += hosts * (until - since)
            since = until

    def _note_wait(self, allocation: ModelAllocation) -> None:
        if not allocation.was_granted and not allocation.book_until:
            self._remember(self.waits, allocation.class_id, self.steady - allocation.since)

    def _remember(self, times: dict[str, list[int]], class_id: str, ms: int) -> None:
        if class_id:
            times[class_id] = [*times[class_id], max(0, ms)][-NEWEST:]

    def _note_outcome(
        self, resource: ModelResource, allocation: ModelAllocation, *, has_failed: bool
    ) -> None:
        user = hashlib.sha1(allocation.user.encode(), usedforsecurity=False).hexdigest()[:12]
        outcome = f"{'-' if has_failed else '+'}{user}:{allocation.class_id}"
        resource.outcomes = [*resource.outcomes, outcome][-OUTCOMES:]
