"""Waiting for managers, after the lab may have lost what it had granted.

A grant that was lost is given back when its manager registers (`reconciling.py`), if the request
still waits then. So nothing is granted before those who were there have come back, or have had
their time to. With all of them there, as after a restart of Redis, that takes moments.
"""

import asyncio
from collections.abc import Callable

from hwprovisioner.state.tables import Presence
from hwprovisioner.state.view import Change, View

LIMIT_S = 5.0
"""Who takes longer to come back keeps nobody waiting; what it had granted may be granted anew."""


class Homecoming:
    """Says whether managers are waited for."""

    def __init__(self, view: View, when_over: Callable[[], None]) -> None:
        """Look at the managers of `view`, and call `when_over` when time is."""
        self._view = view
        self._when_over = when_over
        self._may_be_missing = True
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False
        view.listen(self._note)

    def waits(self) -> bool:
        """Say whether to wait. Who comes back changes the view, so ask again then."""
        self._may_be_missing = self._may_be_missing and self._is_missing()
        if not self._may_be_missing:
            self._begin_anew()
            return False
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LIMIT_S, self._end)
        return not self._is_over

    def _begin_anew(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._is_over = None, False

    def _end(self) -> None:
        self._is_over = True
        self._when_over()

    def _is_missing(self) -> bool:
        return any(
            manager.returning and manager.presence is not Presence.LOST
            for manager in self._view.managers.values()
        )

    def _note(self, change: Change | None) -> None:
        if change is None or change.event == "recognize":
            self._may_be_missing = True
            self._begin_anew()
