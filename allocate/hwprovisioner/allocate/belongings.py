"""Which resources and holds are whose, so that nobody goes through all there are for one manager.

A thousand managers who register in the same second would else go through everything a thousand
times.
"""

from collections import defaultdict
from collections.abc import Iterable

from hwprovisioner.state.keys import Kind
from hwprovisioner.state.model import Hold, Resource
from hwprovisioner.state.view import Change, View


class Belongings:
    """Follows a view."""

    def __init__(self, view: View) -> None:
        """Begin to follow `view`."""
        self._view = view
        self._resources: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._holds: defaultdict[str, dict[str, None]] = defaultdict(dict)
        view.listen(self._follow)
        self._follow(None)

    def names(self, manager_id: str) -> Iterable[str]:
        """Return the names of a manager's resources."""
        return self._resources.get(manager_id, ())

    def resources(self, manager_id: str) -> list[Resource]:
        """Return a manager's resources."""
        return [self._view.resources[name] for name in self.names(manager_id)]

    def holds(self, manager_id: str) -> list[Hold]:
        """Return the holds on a manager's resources."""
        return [self._view.holds[hold_id] for hold_id in self._holds.get(manager_id, ())]

    def _follow(self, change: Change | None) -> None:
        if change is None:
            self._resources.clear()
            self._holds.clear()
            for resource in self._view.resources.values():
                self._resources[resource.manager][resource.name] = None
            for hold in self._view.holds.values():
                self._holds[hold.manager][hold.id] = None
            return
        for (kind, record_id), changed in change.records.items():
            if kind is Kind.RESOURCE:
                _move(self._resources, record_id, changed.before, changed.after)
            elif kind is Kind.HOLD:
                _move(self._holds, record_id, changed.before, changed.after)


def _move(
    of: defaultdict[str, dict[str, None]], record_id: str, before: object, after: object
) -> None:
    was, is_now = _manager(before), _manager(after)
    if was == is_now:
        return
    if was is not None:
        del of[was][record_id]
        if not of[was]:
            del of[was]
    if is_now is not None:
        of[is_now][record_id] = None


def _manager(record: object) -> str | None:
    return record.manager if isinstance(record, Resource | Hold) else None
