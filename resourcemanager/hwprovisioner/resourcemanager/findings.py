"""What was found of resources that have to be looked after, as the lab is told of it.

A stream may end under whatever is said on it. So what only a person can put right is told again
each time that the lab is told of the resource, until it has been looked after once more; and what
the lab has asked for and got no answer to, it asks for again. Both are harmless, since looks are
numbered: the lab heeds the answer to the newest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from hwprovisioner.resourcemanager import codec
from hwprovisioner.resourcemanager.holds import Phase
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.v1 import manager_stream_pb2 as stream

_log = logging.getLogger(__name__)


class Findings:
    """Those of all resources."""

    def __init__(self, journal: Journal, send: Callable[[stream.SubscribeRequest], object]) -> None:
        self._journal = journal
        self._send = send
        #: Why a person is needed, by resource.
        self._given_up: dict[str, str] = {}
        for held in journal.holds.values():
            if held.phase is Phase.DIRTY:
                words = f"hold {held.hold.id} is not clean: {held.reason}"
                self._given_up[held.hold.resource] = words

    def give_up(self, name: str, reason: str) -> None:
        """Say that a person is needed."""
        _log.error("resource %s is given up until a person says so: %s", name, reason)
        self._given_up[name] = reason
        self.tell(name)

    def well(self, name: str, look: int) -> None:
        """Say that a resource was looked after and is well."""
        self._send(codec.healthy(name, "checked, it is well", look))

    def tell(self, name: str) -> None:
        """Tell the lab if a person is needed."""
        reason = self._given_up.get(name)
        if reason is not None:
            self._send(codec.quarantined(name, reason, self._journal.look(name)))

    def answers(self, name: str, look: int) -> bool:
        """Say whether a look has led to what is known already."""
        return name in self._given_up and self._journal.look(name) == look

    def begin_anew(self, name: str, look: int) -> None:
        """Forget what was found: the lab asks for another look."""
        self._given_up.pop(name, None)
        try:
            self._journal.looked(name, look)
        except OSError as error:
            _log.error("journal: %s; after a crash, %s is looked after once more", error, name)
