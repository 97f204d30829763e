"""What was granted, and whether the lab still knows it: the reckoning, without any I/O.

A lab whose Redis has lost its last changes may not know any longer that it granted the hosts. Then
their managers tell it, within moments of their coming back, and it takes the grant back; what it
cannot take back it ends. If it says neither for a while, or grants other hosts, nothing keeps these
from being lent to somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping

from hwprovisioner.v1.allocate_service_pb2 import AllocationUpdate
from hwprovisioner.v1.allocation_pb2 import Allocation

LOST = "GRANT_LOST"
"""The reason when this process itself says that the lab no longer knows what it granted."""

PATIENCE_S = 10.0
"""Managers take moments to come back; the lab itself waits half as long for them."""

_WHY = "the lab has lost its last changes, and with them that it had granted these hosts"


class Grant:
    """The hosts of an allocation, as they were handed over."""

    def __init__(self, allocation: Allocation) -> None:
        self._holds = _holds(allocation)
        self._doubted_s: float | None = None
        self._others: Mapping[str, str] = {}

    def note(self, update: AllocationUpdate, now_s: float) -> None:
        """Takes in what the lab says of the allocation later."""
        event = update.WhichOneof("event")
        if event == "ready":
            found = _holds(update.allocation)
            self._doubted_s, self._others = None, found if found != self._holds else {}
        elif event != "ended" and self._doubted_s is None:
            self._doubted_s = now_s

    def why_lost(self, now_s: float) -> str:
        """Says why the hosts must not be used; empty if they may."""
        if self._others:
            names = ", ".join(self._others.values())
            return f"{_WHY}; it has granted others instead: {names}"
        if self._doubted_s is not None and now_s - self._doubted_s >= PATIENCE_S:
            return f"{_WHY}; they were not given back within {PATIENCE_S:g} s"
        return ""


def _holds(allocation: Allocation) -> Mapping[str, str]:
    return {name: host.hold.id for name, host in allocation.hosts.items()}
