"""The manager's side of the conversation with the lab.

Everything here happens at once and waits for nothing: messages in, messages out, work started. The
stream (link.py) comes and goes; the agent stays.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from hwprovisioner.resourcemanager import codec
from hwprovisioner.resourcemanager.aftercare import Aftercare
from hwprovisioner.resourcemanager.backoff import Backoffs
from hwprovisioner.resourcemanager.channels import Channels
from hwprovisioner.resourcemanager.driver import Driver
from hwprovisioner.resourcemanager.findings import Findings
from hwprovisioner.resourcemanager.fleet import Fleet
from hwprovisioner.resourcemanager.holds import Phase
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.loading import load_driver
from hwprovisioner.resourcemanager.member import Members
from hwprovisioner.resourcemanager.model import Hold, Resource
from hwprovisioner.resourcemanager.offers import Offers
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
        backoffs: Backoffs = Backoffs(),  # noqa: B008  # it is frozen
        mark: str = "",
        is_mark_new: bool = False,
    ) -> None:
        self.manager_id = manager_id
        self._version = version
        self._journal = journal
        self._link: Send | None = None
        self._has_begun = False
        self._registered: list[str] = []
        self._findings = Findings(journal, self._send)
        members = Members(journal, tasks, load, self._show, self._findings, backoffs, mark)
        self._fleet = Fleet(journal, members, self._show)
        self._worker = Worker(
            journal,
            tasks,
            self._send,
            on_cleaned=self._fleet.settle,
            on_given_up=self._fleet.give_up,
            backoffs=backoffs,
            is_mark_new=is_mark_new,
        )
        self._offers = Offers(journal, self._fleet, self._worker, self._send)
        self._aftercare = Aftercare(journal, self._fleet, self._worker, self._findings, self._send)
        self.channels = Channels(journal, self._fleet, tasks, self._send)

    # What the resources file says.

    def represent(self, resources: Mapping[str, Resource]) -> None:
        """Represent these resources from now on and no others.

        What holds one keeps it as it was.
        """
        for name in self._fleet.change(resources):
            self._send_gone(name)
        self._aftercare.begin_again()

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
        inventory = [one.spec() for one in self._fleet if not one.is_removed]
        self._registered = [spec.name for spec in inventory]
        fences = {name: self._journal.fence(name) for name in self._registered}
        holds = self._journal.holds.values()
        journal_id = self._journal.id
        return codec.register(
            *(self.manager_id, self._version, inventory, holds, fences, journal_id)
        )

    def connected(self, send: Send) -> None:
        """Go on with a new stream, on which the lab has said `registered`."""
        self._link = send
        # The file may have changed between the registration and its answer.
        for name in self._registered:
            represented_now = self._fleet.get(name)
            if represented_now is None:
                self._send_gone(name)
            else:
                represented_now.is_ours.set()
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
                self._offers.answer(codec.offered(message.offer))
            case "release" if message.release.hold.hold_id:
                self._release(message.release)
            case "look_after":
                self._look_after(message.look_after)
            case "switch_power":
                self.channels.switch_power(message.switch_power)
            case "open_channel":
                self.channels.open(message.open_channel)
            case "refused":
                self._refused(message.refused)
            case "registered" | "ping":
                pass  # the link's own
            case event:
                _log.warning("the lab said something that cannot be understood: %s", event)

    def withdraw_all(self) -> None:
        """Say that nothing is to be had from here any more, and take nothing on."""
        self._offers.is_closed = True
        for represented in self._fleet:
            self._show(represented)

    async def stop(self) -> None:
        """End all work, leaving in the journal what to go on with. The lab is told nothing more."""
        self._offers.is_closed = True
        self._link = None
        self._fleet.stop()
        await self.channels.stop()
        await self._worker.stop()

    # What the lab says.

    def _release(self, release: stream.Release) -> None:
        hold = release.hold
        self.channels.end(hold.hold_id)
        known = Hold(hold.hold_id, release.resource, hold.fence)
        self._aftercare.release(known, release.reason, has_begun=release.begun)

    def _look_after(self, message: stream.LookAfter) -> None:
        _log.info("resource %s is to be looked after: %s", message.resource, message.reason)
        if self._fleet.get(message.resource) is None:
            self._send_gone(message.resource)
        else:
            self._aftercare.look_after(message.resource, message.look)

    def _refused(self, refused: stream.Refused) -> None:
        about = refused.hold_id or refused.resource or "?"
        _log.warning("the lab refused: %s (%s, %s)", refused.message, refused.reason, about)
        if refused.reason == "NO_SUCH_HOLD":
            self._aftercare.disown(refused.hold_id)

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

    def _show(self, represented: Represented) -> None:
        """Tell the lab whether a resource is to be had, and if a person is needed."""
        if self._offers.is_closed and not represented.is_removed:
            self._send(codec.withdraw(represented.name, "its manager has been stopped"))
        else:
            self._send(represented.standing(self._journal.fence(represented.name)))
        self._findings.tell(represented.name)

    def _send_gone(self, name: str) -> None:
        self._send(codec.withdraw(name, "it is no longer in the resources file", removed=True))

    def _send(self, message: stream.SubscribeRequest) -> bool:
        """Send a message if there is a stream, and return whether there is.

        Without one, what counts is told again when there is (`connected`).
        """
        if self._link is None:
            return False
        self._link(message)
        return True
