"""What comes after holds: they are cleaned, or given up until a person has looked."""

from __future__ import annotations

import logging
from collections.abc import Callable

from hwprovisioner.resourcemanager import codec
from hwprovisioner.resourcemanager.findings import Findings
from hwprovisioner.resourcemanager.fleet import Fleet
from hwprovisioner.resourcemanager.holds import Held, Phase
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.model import Hold
from hwprovisioner.resourcemanager.worker import Worker
from hwprovisioner.v1 import manager_stream_pb2 as stream

_log = logging.getLogger(__name__)

#: A resource is well once nothing of it is in one of these.
_UNCLEAN = (Phase.FAILED, Phase.CLEANING, Phase.DIRTY)


class Aftercare:
    """Has holds cleaned, and what needed care looked after."""

    def __init__(
        self,
        journal: Journal,
        fleet: Fleet,
        worker: Worker,
        findings: Findings,
        send: Callable[[stream.SubscribeRequest], bool],
    ) -> None:
        self._journal = journal
        self._fleet = fleet
        self._worker = worker
        self._findings = findings
        self._send = send

    def begin_again(self) -> None:
        """Go on cleaning what the journal says is to be cleaned, with the lab or without."""
        for held in list(self._journal.holds.values()):
            if held.phase is Phase.CLEANING:
                self._clean(held)

    def release(self, hold: Hold, reason: str, *, has_begun: bool) -> None:
        """End a hold: whatever was done for it is stopped, and it is cleaned.

        Args:
            hold: What the lab says of it: its id, its resource, the fence of its end.
            reason: Why it has ended.
            has_begun: It had been accepted.
        """
        held = self._journal.holds.get(hold.id)
        if held is None and not has_begun and self._is_anothers(hold.resource):
            # It was declined for that, and nothing was begun. To clean now would be to clean under
            # the feet of whoever has the resource.
            held = Held(hold, Phase.CLEANED)
        elif held is None:
            # Not in the journal: it was lost, or never got here. What the driver does on tear-down
            # is right for both.
            held = Held.lost(hold) if has_begun else Held(hold, Phase.CLEANING)
        elif hold.fence < held.hold.fence:
            _log.info("an old release of hold %s is ignored", hold.id)
            return
        else:
            held = held.released(hold.fence)
        _log.info("hold %s on %s has ended: %s", hold.id, held.hold.resource, reason)
        self._worker.become(held)
        self._clean(held)

    def _is_anothers(self, name: str) -> bool:
        """Say whether a hold has all of a resource."""
        represented = self._fleet.get(name)
        is_exclusive = represented is not None and represented.is_exclusive
        return is_exclusive and any(held.is_live for held in self._journal.of(name))

    def disown(self, hold_id: str) -> None:
        """Clean what the lab does not know of: its word rules."""
        held = self._journal.holds.get(hold_id)
        if held is None:
            return
        if not held.is_live:
            self._journal.forget(hold_id)
        elif held.phase not in (Phase.CLEANING, Phase.DIRTY):
            held = held.released(held.hold.fence)
            self._worker.become(held)
            self._clean(held)

    def look_after(self, name: str, look: int) -> None:
        """Clean anew what was given up, then have the resource checked, and say how it is."""
        if self._findings.answers(name, look):
            self._findings.tell(name)
            return
        unclean = [held for held in self._journal.of(name) if held.phase in _UNCLEAN]
        dirty = [held for held in unclean if held.phase is Phase.DIRTY]
        for held in dirty:
            self._worker.become(held.looked_after())
        self._findings.begin_anew(name, look)
        self._fleet.renew(name, {held.hold.id for held in dirty})
        self._fleet.look_after(name, look, {held.hold.id for held in unclean})
        for held in dirty:
            self._clean(self._journal.holds[held.hold.id])

    def _clean(self, held: Held) -> None:
        """Clean a hold that is to be cleaned, or say how it stands."""
        represented = self._fleet.get(held.hold.resource)
        if not held.is_live:
            self._worker.tell(held.hold.id)
        elif held.phase is Phase.DIRTY:
            self._say(held, f"not clean, and given up: {held.reason}")
        elif represented is None:
            _log.warning(
                "hold %s cannot be cleaned: %s is not in the resources file; put it back there",
                held.hold.id,
                held.hold.resource,
            )
            self._say(held, "not clean: the resource is not in its manager's resources file")
        elif not self._worker.is_cleaning(held.hold.id):
            self._worker.start(held.hold.id, represented)

    def _say(self, held: Held, line: str) -> None:
        self._send(codec.progress(held.hold, line))
