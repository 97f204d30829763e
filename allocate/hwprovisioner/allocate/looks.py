"""What a manager has still to be told to look after."""

from collections.abc import Iterable, Iterator

from hwprovisioner.allocate.belongings import Belongings
from hwprovisioner.state.model import Resource
from hwprovisioner.state.tables import Health
from hwprovisioner.state.view import Change


class Looks:
    """Remembers what one stream of a manager was told to look after.

    What is suspected is told when the lab comes to suspect it, and to a manager that has just
    registered: it may have lost that it was told, or have begun to look after it by itself before.
    """

    def __init__(self, belongings: Belongings, manager_id: str) -> None:
        """Look up the resources of a manager in `belongings`."""
        self._belongings = belongings
        self._manager_id = manager_id
        self._told: dict[str, int] = {}

    def untold(self, change: Change | None) -> Iterator[Resource]:
        """Return what is to be told after a change, or of everything: each once."""
        mine = self._belongings.resources
        found = mine(self._manager_id) if change is None else _looked_at_anew(change)
        for resource in found:
            if resource.manager != self._manager_id or resource.health is not Health.SUSPECT:
                continue
            if self._told.get(resource.name) != resource.looks:
                self._told[resource.name] = resource.looks
                yield resource


def _looked_at_anew(change: Change) -> Iterable[Resource]:
    for changed in change.records.values():
        before, after = changed.before, changed.after
        if isinstance(after, Resource):
            known = before.looks if isinstance(before, Resource) else 0
            if after.looks > known:
                yield after
