"""Who has some resources, and how long such as they have lasted: from records and the past."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from hwprovisioner.allocate.lab_clock import LabClock
from hwprovisioner.allocate.past import Past
from hwprovisioner.allocate.room import Share
from hwprovisioner.allocate.telling.expectation import HOLDERS, Holder
from hwprovisioner.state.model import Hold
from hwprovisioner.state.tables import HoldState
from hwprovisioner.state.view import View

_KNOWN = 3
"""With fewer spans of a class, those of all classes together tell."""
_OF_EACH = 4
_CLASSES = 128
"""So many of the newest spans of so many classes stand for all."""
_CLEANING_MS = 5_000
"""So much is allowed for the rest of a cleaning."""

Helps = Callable[[str, Share], bool]
"""Says whether a share, were it given back, would make a resource of use."""


class Holders:
    """Tells of one moment."""

    def __init__(self, view: View, past: Past, clock: LabClock) -> None:
        """Look at the records of `view`."""
        self._view = view
        self._clock, self._now_ms = clock, clock.now_ms()
        self._past = past.spans
        self._all = _sample(past.spans)
        self._sorted: dict[str, Sequence[int]] = {}

    def of(self, names: Sequence[str], total: int, helps: Helps) -> tuple[list[Holder], float]:
        """Return who has some resources, and of how large a part of all they are.

        Args:
            names: of the resources.
            total: how many there are, with those that are not named.
            helps: says whose end would help.
        """
        found = [self._holder(hold) for name in names for hold in self._holds(name, helps)]
        share = len(names) / max(total, len(names), 1)
        if len(found) > HOLDERS:
            share *= HOLDERS / len(found)
        return found[:HOLDERS], share

    def spans(self, class_ids: Iterable[str]) -> Sequence[int]:
        """Return how long allocations of some classes have lasted, in ms; empty if unknown."""
        known = (self._past.get(each, ()) for each in class_ids)
        found = list(itertools.chain.from_iterable(known))
        return found if len(found) >= _KNOWN else self._all

    def _holds(self, name: str, helps: Helps) -> Iterator[Hold]:
        resource = self._view.resources.get(name)
        for hold_id in resource.holds if resource else ():
            hold = self._view.holds.get(hold_id)
            if hold and helps(name, Share(hold.cpus, hold.memory, hold.gpus)):
                yield hold

    def _holder(self, hold: Hold) -> Holder:
        allocation = self._view.allocations.get(hold.allocation)
        if hold.state is HoldState.CLEANING or allocation is None:
            return Holder(self._now_ms, self._now_ms + _CLEANING_MS)
        since_ms = self._clock.moment_ms(allocation.since_ms)
        by_span = since_ms + allocation.max_ms if allocation.max_ms else 0
        ends = [each for each in (by_span, allocation.book_until_ms, allocation.preempt_ms) if each]
        spans = self._spans_of(allocation.class_id)
        return Holder(since_ms, min(ends, default=0), spans)

    def _spans_of(self, class_id: str) -> Sequence[int]:
        if class_id not in self._sorted:
            self._sorted[class_id] = sorted(self.spans([class_id]))
        return self._sorted[class_id]


def _sample(spans: Mapping[str, Sequence[int]]) -> Sequence[int]:
    some = itertools.islice(spans.values(), _CLASSES)
    found = sorted(span for times in some for span in times[-_OF_EACH:])
    return found if len(found) >= _KNOWN else ()
