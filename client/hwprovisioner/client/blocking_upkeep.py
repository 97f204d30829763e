"""`upkeep.py` for programs that block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import TYPE_CHECKING, TypeVar

from hwprovisioner.client.durations import Span
from hwprovisioner.client.moments import Moment

if TYPE_CHECKING:
    from hwprovisioner.client.upkeep import Upkeep
    from hwprovisioner.v1.allocation_pb2 import Allocation
    from hwprovisioner.v1.resource_pb2 import Resource

Answer = TypeVar("Answer")


class BlockingUpkeep(ABC):
    """Looks after what there is."""

    @abstractmethod
    def _lab(self) -> Upkeep:
        """Gives the lab to use in this process."""

    @abstractmethod
    def _call(self, work: Coroutine[None, None, Answer]) -> Answer:
        """Runs something in the background thread, and waits for it."""

    def drain_resource(
        self,
        name: str,
        reason: str = "",
        operator: str = "",
        *,
        deadline: Moment | Span | None = None,
        at_once: bool = False,
    ) -> Resource:
        """Takes a resource out of service; see `AsyncLab.drain_resource`."""
        work = self._lab().drain_resource(
            name, reason, operator, deadline=deadline, at_once=at_once
        )
        return self._call(work)

    def enable_resource(self, name: str, operator: str = "") -> Resource:
        """Puts a resource back into service; see `AsyncLab.enable_resource`."""
        return self._call(self._lab().enable_resource(name, operator))

    def quarantine_resource(self, name: str, reason: str = "", operator: str = "") -> Resource:
        """Lends a resource no more until a person enables it. What holds it may stay."""
        return self._call(self._lab().quarantine_resource(name, reason, operator))

    def keep(self, allocation_id: str, token: str, duration: Span | None) -> Allocation:
        """Keeps an allocation as it is for a while; see `AsyncLab.keep`."""
        return self._call(self._lab().keep(allocation_id, token, duration))

    def release(self, allocation_id: str, token: str, *, at_once: bool = False) -> Allocation:
        """Gives an allocation back; see `AsyncLab.release`."""
        return self._call(self._lab().release(allocation_id, token, at_once=at_once))
