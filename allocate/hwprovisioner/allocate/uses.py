"""Until when resources are used, by what their holders have said."""

from collections.abc import Iterator, Sequence

from hwprovisioner.allocate.lab_clock import LabClock
from hwprovisioner.allocate.planning.inventory import Held
from hwprovisioner.allocate.room import Share
from hwprovisioner.state.model import Hold, Resource
from hwprovisioner.state.tables import HoldState
from hwprovisioner.state.view import View


class Uses:
    """Looks it up in a view."""

    def __init__(self, view: View, clock: LabClock) -> None:
        """Look it up in `view`; `clock` tells the lab's time."""
        self._view = view
        self._clock = clock

    def held(self, name: str) -> Sequence[Held]:
        """Return what is in use of a resource, and until when for certain."""
        resource = self._view.resources.get(name)
        # Giving way and drains can be taken back, so that nothing can be promised on them.
        return [
            Held(Share(hold.cpus, hold.memory, hold.gpus), self._until_ms(hold, preempted=False))
            for hold in (self._holds(resource) if resource else ())
        ]

    def ends_ms(self, resource: Resource) -> int:
        """Return when all uses of a resource end as things stand, 0 if nobody knows."""
        ends = [self._until_ms(hold, preempted=True) for hold in self._holds(resource)]
        return max(ends) if ends and all(ends) else 0

    def _holds(self, resource: Resource) -> Iterator[Hold]:
        for hold_id in resource.holds:
            if (hold := self._view.holds.get(hold_id)) is not None:
                yield hold

    def _until_ms(self, hold: Hold, *, preempted: bool) -> int:
        """Return when a hold ends at the latest, 0 if nobody knows; of one being cleaned, soon."""
        allocation = self._view.allocations.get(hold.allocation)
        if hold.state is HoldState.CLEANING or allocation is None:
            return max(self._clock.now_ms(), 1)
        since_ms = self._clock.moment_ms(allocation.since_ms)
        by_span = since_ms + allocation.max_ms if allocation.max_ms else 0
        soon = (allocation.preempt_ms, allocation.revoke_ms) if preempted else ()
        ends = [each for each in (by_span, allocation.book_until_ms, *soon) if each]
        return min(ends, default=0)
