"""The manager's side of the conversation with the lab.

Everything here happens at once and waits for nothing: messages in, messages out, work started. The
stream (link.py) comes and goes; the agent stays.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from hwprovisioner.resourcemanager import codec
from hwprovisioner.resourcemanager.backoff import CLEANING, Backoff
from hwprovisioner.resourcemanager.driver import Driver
from hwprovisioner.resourcemanager.fleet import Fleet
from hwprovisioner.resourcemanager.holds import (
    Held,
    Ignore,
    Phase,
    Repeat,
    Take,
    TurnDown,
    answer_offer,
)
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.loading import load_driver
from hwprovisioner.resourcemanager.model import Hold, Resource
from hwprovisioner.resourcemanager.represented import Represented
from hwprovisioner.resourcemanager.worker import Send, Worker
from hwprovisioner.v1 import manager_stream_pb2 as stream

_log = logging.getLogger(__name__)


class Agent:
    """Represents resources to the lab."""

    def __init__(
        self,
        manager_id: str,
        version: str,
        journal: Journal,
        tasks: asyncio.TaskGroup,
        *,
        load: Callable[[str], type[Driver]] = load_driver,
        cleaning_backoff: Backoff = CLEANING,
    ) -> None:
        self.manager_id = manager_id
        self._version = version
        self._journal = journal
        self._link: Send | None = None
        self._is_stopping = False
        self._has_begun = False
        self._registered: list[str] = []
        self._fleet = Fleet(journal, tasks, load, self._show)
        self._worker = Worker(journal, tasks, self._send, self._on_cleaned, cleaning_backoff)

    # What the resources file says.

    def represent(self, resources: Mapping[str, Resource]) -> None:
        """Represent these resources from now on and no others.

        What holds one keeps it as it was.
        """
        for name in self._fleet.change(resources):
            self._send_gone(name)
        self._begin_cleaning()

    async def know_resources(self, within_s: float) -> None:
        """Return once it is known of each resource whether it can be lent, or after so long."""
        waits = [one.is_known.wait() for one in self._fleet]
        try:
            async with asyncio.timeout(within_s):
                await asyncio.gather(*waits)
        except TimeoutError:
            _log.info("some resources have not answered yet; they are volunteered when they do")

    # The stream.

    def registration(self) -> stream.SubscribeRequest:
        """Say who this is, what it represents and what it has in hand."""
        holds = [held for held in self._journal.holds.values() if held.is_live]
        inventory = [one.spec() for one in self._fleet if not one.is_removed]
        self._registered = [spec.name for spec in inventory]
        return codec.register(self.manager_id, self._version, inventory, holds)

    def connected(self, send: Send) -> None:
        """Go on with a new stream, on which the lab has said `registered`."""
        self._link = send
        # The file may have changed between the registration and its answer.
        for name in self._registered:
            if self._fleet.get(name) is None:
                self._send_gone(name)
        for represented in self._fleet:
            self._show(represented)
        for hold_id, held in self._journal.holds.items():
            if held.phase in (Phase.PREPARING, Phase.READY, Phase.FAILED):
                self._worker.tell(hold_id)
        if not self._has_begun:
            self._has_begun = True
            self._begin_again()

    def disconnected(self) -> None:
        """Go on without a stream: what was begun is finished, and told when there is one again."""
        self._link = None

    def receive(self, message: stream.SubscribeResponse) -> None:
        """Take a message of the lab. One that is not known is ignored."""
        match message.WhichOneof("event"):
            case "offer" if message.offer.hold.hold_id:
                self._offer(codec.offered(message.offer))
            case "release" if message.release.hold.hold_id:
                self._release(message.release)
            case "refused":
                self._refused(message.refused)
            case "registered" | "ping":
                pass  # the link's own
            case event:
                _log.warning("the lab said something that cannot be understood: %s", event)

    def withdraw_all(self) -> None:
        """Say that nothing is to be had from here any more, and take nothing on."""
        self._is_stopping = True
        for represented in self._fleet:
            self._show(represented)

    async def stop(self) -> None:
        """End all work, leaving in the journal what to go on with. The lab is told nothing more."""
        self._is_stopping = True
        self._link = None
        self._fleet.stop()
        await self._worker.stop()

    # What the lab says.

    def _offer(self, hold: Hold) -> None:
        represented = self._fleet.get(hold.resource)
        known = self._journal.holds.get(hold.id)
        refusal = "" if known is not None else self._refusal(hold, represented)
        if refusal:
            self._turn_down(hold, TurnDown(refusal))
            return
        others = self._journal.of(hold.resource)
        exclusive = represented is None or represented.is_exclusive
        # Holds of a divisible resource live side by side: after a reconnect, the end of one may be
        # told before the older offer of another.
        seen = self._journal.fence if exclusive else self._journal.offered_fence
        highest = seen(hold.resource)
        match answer_offer(hold, known, others, highest, exclusive=exclusive):
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
        if self._is_stopping:
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
        try:
            self._journal.put(Held(hold))
        except OSError as error:
            _log.error("journal: %s; hold %s is declined", error, hold.id)
            self._turn_down(hold, TurnDown(f"the manager cannot write its journal: {error}"))
            return
        _log.info("hold %s on %s is accepted, for %s", hold.id, hold.resource, hold.user or "?")
        self._worker.tell(hold.id)
        self._worker.start(hold.id, represented)

    def _release(self, release: stream.Release) -> None:
        hold_id, fence = release.hold.hold_id, release.hold.fence
        held = self._journal.holds.get(hold_id)
        if held is None:
            # Not in the journal: it was lost, or never got here. What the driver does on tear-down
            # is right for both.
            held = Held(Hold(hold_id, release.resource, fence), Phase.CLEANING)
        elif fence < held.hold.fence:
            _log.info("an old release of hold %s is ignored", hold_id)
            return
        else:
            held = held.released(fence)
        _log.info("hold %s on %s has ended: %s", hold_id, held.hold.resource, release.reason)
        self._worker.become(held)
        self._clean(held)

    def _clean(self, held: Held) -> None:
        """Clean a hold that is to be cleaned, or say that it is."""
        represented = self._fleet.get(held.hold.resource)
        if not held.is_live:
            self._worker.tell(held.hold.id)
        elif represented is None:
            _log.warning(
                "hold %s cannot be cleaned: %s is not in the resources file; put it back there",
                held.hold.id,
                held.hold.resource,
            )
            line = "not clean: the resource is not in its manager's resources file"
            self._send(codec.progress(held.hold, line))
        elif not self._worker.is_cleaning(held.hold.id):
            self._worker.start(held.hold.id, represented)

    def _refused(self, refused: stream.Refused) -> None:
        about = refused.hold_id or refused.resource or "?"
        _log.warning("the lab refused: %s (%s, %s)", refused.message, refused.reason, about)
        held = self._journal.holds.get(refused.hold_id)
        if refused.reason != "NO_SUCH_HOLD" or held is None:
            return
        # The lab's word rules: what it does not know of is nobody's, and is cleaned.
        if not held.is_live:
            self._journal.forget(refused.hold_id)
        elif held.phase is not Phase.CLEANING:
            held = held.released(held.hold.fence)
            self._worker.become(held)
            self._clean(held)

    # What happens here.

    def _begin_again(self) -> None:
        """Go on with what the journal has from an earlier life.

        What was being readied up is readied up anew.
        """
        for hold_id, held in list(self._journal.holds.items()):
            if held.phase is Phase.PREPARING and not self._worker.is_at_work(hold_id):
                represented = self._fleet.get(held.hold.resource)
                if represented is not None:
                    self._worker.start(hold_id, represented)
                else:
                    self._worker.become(held.failed("the resource is no longer represented"))
                    self._worker.tell(hold_id)

    def _begin_cleaning(self) -> None:
        """Go on cleaning what the journal says is to be cleaned, with the lab or without."""
        for held in list(self._journal.holds.values()):
            if held.phase is Phase.CLEANING:
                self._clean(held)

    def _on_cleaned(self, represented: Represented) -> None:
        self._fleet.settle(represented)

    def _show(self, represented: Represented) -> None:
        """Tell the lab whether a resource is to be had."""
        if represented.is_removed:
            self._send(codec.withdraw(represented.name, represented.excuse, removed=True))
        elif self._is_stopping:
            self._send(codec.withdraw(represented.name, "its manager has been stopped"))
        elif represented.can_be_lent:
            self._send(codec.volunteer(represented.spec()))
        else:
            self._send(codec.withdraw(represented.name, represented.excuse))

    def _send_gone(self, name: str) -> None:
        self._send(codec.withdraw(name, "it is no longer in the resources file", removed=True))

    def _send(self, message: stream.SubscribeRequest) -> None:
        """Send a message if there is a stream.

        Without one, what counts is told again when there is (`connected`).
        """
        if self._link is not None:
            self._link(message)
