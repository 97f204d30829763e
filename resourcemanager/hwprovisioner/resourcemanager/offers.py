"""Answers the lab's offers."""

from __future__ import annotations

import logging

from hwprovisioner.resourcemanager import codec
from hwprovisioner.resourcemanager.fleet import Fleet
from hwprovisioner.resourcemanager.holds import (
    Held,
    Ignore,
    Repeat,
    Take,
    TurnDown,
    answer_offer,
)
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.model import Hold
from hwprovisioner.resourcemanager.represented import Represented
from hwprovisioner.resourcemanager.room import Room
from hwprovisioner.resourcemanager.worker import Send, Worker

_log = logging.getLogger(__name__)


class Offers:
    """Takes offers up or turns them down."""

    def __init__(self, journal: Journal, fleet: Fleet, worker: Worker, send: Send) -> None:
        self.is_closed = False
        self._journal = journal
        self._fleet = fleet
        self._worker = worker
        self._send = send

    def answer(self, hold: Hold) -> None:
        """Answer an offer, and begin to ready up if it is taken."""
        represented = self._fleet.get(hold.resource)
        known = self._journal.holds.get(hold.id)
        refusal = "" if known is not None else self._refusal(hold, represented)
        if refusal:
            self._turn_down(hold, TurnDown(refusal))
            return
        others = list(self._journal.of(hold.resource))
        exclusive = represented is None or represented.is_exclusive
        # Holds of a divisible resource live side by side: after a reconnect, the end of one may be
        # told before the older offer of another.
        seen = self._journal.fence if exclusive else self._journal.offered_fence
        highest = seen(hold.resource)
        room = None
        if represented is not None and not exclusive:
            room = Room.of(represented.resource, represented.facts)
        match answer_offer(hold, known, others, highest, exclusive=exclusive, room=room):
            case Take():
                self._take(hold)
            case Repeat():
                self._worker.tell(hold.id)
            case TurnDown() as answer:
                self._turn_down(hold, answer)
            case Ignore():
                _log.info("an old offer of hold %s, which has ended, is ignored", hold.id)

    def _refusal(self, hold: Hold, represented: Represented | None) -> str:
        """Return why an offer cannot even be thought about; empty if it can."""
        if self.is_closed:
            return "the manager is stopping"
        if represented is None:
            return f"resource {hold.resource!r} is not represented here"
        return "" if represented.can_be_lent else represented.excuse

    def _turn_down(self, hold: Hold, answer: TurnDown) -> None:
        _log.info("hold %s on %s is declined: %s", hold.id, hold.resource, answer.reason)
        self._send(codec.decline(hold, answer.reason, answer.retry_s))

    def _take(self, hold: Hold) -> None:
        represented = self._fleet.get(hold.resource)
        assert represented is not None
        represented.is_ours.set()
        try:
            self._journal.put(Held(hold))
        except OSError as error:
            _log.error("journal: %s; hold %s is declined", error, hold.id)
            self._turn_down(hold, TurnDown(f"the manager cannot write its journal: {error}"))
            return
        _log.info("hold %s on %s is accepted, for %s", hold.id, hold.resource, hold.user or "?")
        self._worker.start(hold.id, represented)
