"""A resource while it is represented.

Its driver, what was detected of it, whether it can be lent.
"""

from __future__ import annotations

import asyncio
import logging

from hwprovisioner.resourcemanager import calls, codec
from hwprovisioner.resourcemanager.contradictions import contradictions
from hwprovisioner.resourcemanager.driver import Driver
from hwprovisioner.resourcemanager.instances import Instances
from hwprovisioner.resourcemanager.model import Facts, Resource, Traits
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1 import resource_pb2 as pb

_log = logging.getLogger(__name__)


class Represented:
    """One resource. Its caretaker finds out how it is; the agent reads and decides."""

    def __init__(self, resource: Resource, driver: Driver) -> None:
        self.resource = resource
        self.driver = driver
        self.facts = Facts()
        #: What holds of it are given; `None` if it is as it is.
        self.instances: Instances | None = None
        #: Why it cannot be lent; empty if it can, `None` before the first check.
        self.trouble: str | None = None
        #: What the file says by now, if it changed while something holds the resource.
        self.successor: Resource | None = None
        #: The file no longer has it, but something holds it still.
        self.is_removed = False
        #: Set once it is known whether it can be lent.
        self.is_known = asyncio.Event()
        #: Set once the lab has taken it from this manager: no other one represents it.
        self.is_ours = asyncio.Event()
        self._traits = Traits()
        self._warnings: list[str] = []

    @property
    def name(self) -> str:
        """Its name in the lab."""
        return self.resource.name

    @property
    def is_exclusive(self) -> bool:
        """One hold at a time has all of it."""
        return self.resource.division is None

    @property
    def is_fit(self) -> bool:
        """It is healthy, and the file still has it as it is."""
        is_leaving = self.is_removed or (self.successor is not None and not self.is_exclusive)
        return self.trouble == "" and not is_leaving

    @property
    def can_be_lent(self) -> bool:
        """It is fit, and nothing is left on it that belongs to nobody."""
        return self.is_fit and not self._leftovers

    @property
    def excuse(self) -> str:
        """Why it cannot be lent, for people to read."""
        if self.is_removed:
            return "it is no longer in the resources file"
        if self.trouble:
            return self.trouble
        if self.trouble is None:
            return "not checked yet"
        if self._leftovers:
            return self._leftovers
        return "its configuration changes once what holds it has ended"

    def _all_warnings(self) -> list[str]:
        trouble = self.instances.pool.filling.trouble if self.instances is not None else ""
        return [trouble, *self._warnings] if trouble else self._warnings

    @property
    def _leftovers(self) -> str:
        return self.instances.pool.sweep.leftovers if self.instances is not None else ""

    def detected(self, facts: Facts) -> bool:
        """Take over what the machine was found to be, and return whether that is news."""
        # What it can do may follow from what it is: the images that there are now, say.
        traits = calls.traits(self.driver)
        is_news = (facts, traits) != (self.facts, self._traits)
        self.facts, self._traits = facts, traits
        warnings = contradictions(self.resource, facts)
        if warnings != self._warnings:
            for warning in warnings:
                _log.warning("resource %s: %s", self.name, warning)
            self._warnings = warnings
            is_news = True
        return is_news

    def spec(self) -> pb.ResourceSpec:
        """Return it as the lab is told of it."""
        return codec.spec(self.resource, self.facts, calls.traits(self.driver))

    def standing(self, fence: int) -> stream.SubscribeRequest:
        """Say whether it is to be had; `fence` is the highest that was seen of it."""
        if self.can_be_lent:
            return codec.volunteer(self.spec(), fence, self._all_warnings())
        return codec.withdraw(self.name, self.excuse, removed=self.is_removed)
