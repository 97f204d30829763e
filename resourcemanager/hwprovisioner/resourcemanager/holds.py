"""Where a hold is in its life here, and how an offer of one is answered. Pure: no I/O.

Everything that decides what becomes of a hold is in this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from hwprovisioner.resourcemanager.model import Connection, Hold
from hwprovisioner.resourcemanager.room import Room


class Phase(StrEnum):
    """Where the manager is with a hold."""

    PREPARING = "preparing"
    READY = "ready"
    #: It could not be readied up; the lab's release is awaited.
    FAILED = "failed"
    CLEANING = "cleaning"
    #: Cleaning it was given up: it stays dirty until a person has looked after the resource.
    DIRTY = "dirty"
    #: Nothing is left of it. Remembered for a while, in case the lab did not hear of it.
    CLEANED = "cleaned"


class Event(StrEnum):
    """What happens to a hold."""

    PREPARED = "prepared"
    FAILED = "failed"
    RELEASED = "released"
    CLEANED = "cleaned"
    GIVEN_UP = "given-up"
    LOOKED_AFTER = "looked-after"


TRANSITIONS: Mapping[Phase, Mapping[Event, Phase]] = {
    Phase.PREPARING: {
        Event.PREPARED: Phase.READY,
        Event.FAILED: Phase.FAILED,
        Event.RELEASED: Phase.CLEANING,
    },
    Phase.READY: {
        Event.FAILED: Phase.FAILED,
        Event.RELEASED: Phase.CLEANING,
    },
    Phase.FAILED: {
        Event.RELEASED: Phase.CLEANING,
    },
    Phase.CLEANING: {
        Event.RELEASED: Phase.CLEANING,
        Event.CLEANED: Phase.CLEANED,
        Event.GIVEN_UP: Phase.DIRTY,
    },
    Phase.DIRTY: {
        Event.RELEASED: Phase.DIRTY,
        Event.LOOKED_AFTER: Phase.CLEANING,
    },
    Phase.CLEANED: {
        Event.RELEASED: Phase.CLEANED,
    },
}


@dataclass(frozen=True, slots=True)
class Held:
    """A hold and where the manager is with it: what the journal keeps."""

    hold: Hold
    phase: Phase = Phase.PREPARING
    #: How to reach the host, from READY on.
    connection: Connection | None = None
    #: Why it failed, or why cleaning it was given up, in the driver's words.
    reason: str = ""
    #: It was accepted, but the journal did not know it when it ended.
    is_lost: bool = False

    @classmethod
    def lost(cls, hold: Hold) -> Held:
        """Return a hold that is to be cleaned though nothing is known of it but its id."""
        return cls(hold, Phase.CLEANING, reason="there is no record of it", is_lost=True)

    @property
    def is_live(self) -> bool:
        """It has something of its resource: whatever is not cleaned."""
        return self.phase is not Phase.CLEANED

    def after(self, event: Event) -> Phase:
        """Return the phase that an event leads to.

        Raises:
            WrongPhase: This event cannot happen in the present phase.
        """
        try:
            return TRANSITIONS[self.phase][event]
        except KeyError:
            raise WrongPhase(self.hold.id, self.phase, event) from None

    def prepared(self, connection: Connection) -> Held:
        """Return it as handed over."""
        return replace(self, phase=self.after(Event.PREPARED), connection=connection)

    def failed(self, reason: str) -> Held:
        """Return it as failed."""
        return replace(self, phase=self.after(Event.FAILED), connection=None, reason=reason)

    def released(self, fence: int) -> Held:
        """Return it as ended, with the fence of its end; an older fence changes nothing."""
        hold = replace(self.hold, fence=max(fence, self.hold.fence))
        return replace(self, hold=hold, phase=self.after(Event.RELEASED), connection=None)

    def cleaned(self) -> Held:
        """Return it as over."""
        return replace(self, phase=self.after(Event.CLEANED))

    def given_up(self, reason: str) -> Held:
        """Return it as dirty until further notice."""
        return replace(self, phase=self.after(Event.GIVEN_UP), reason=reason)

    def looked_after(self) -> Held:
        """Return it as to be cleaned anew; a person has seen to what only a person could find."""
        phase = self.after(Event.LOOKED_AFTER)
        return replace(self, phase=phase, reason="", is_lost=False)

    def given(self, instance: str) -> Held:
        """Return it with an instance of the warm pool; with none if the name is empty."""
        return replace(self, hold=replace(self.hold, pooled=instance))


class WrongPhase(Exception):
    """An event that cannot happen in a hold's present phase: a bug of this manager."""

    def __init__(self, hold_id: str, phase: Phase, event: Event) -> None:
        self.hold_id = hold_id
        self.phase = phase
        self.event = event
        super().__init__(f"hold {hold_id}: {event} cannot happen when {phase}")


@dataclass(frozen=True, slots=True)
class Take:
    """Take the offer up: journal it, accept, ready up."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """The offer was answered before; say again how it stands."""


@dataclass(frozen=True, slots=True)
class TurnDown:
    """Decline, for this reason."""

    reason: str
    #: How long the lab need not ask again, in seconds; 0 leaves it to the lab.
    retry_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Ignore:
    """The offer is older than what is known of the hold: it has ended since."""


Answer = Take | Repeat | TurnDown | Ignore


def answer_offer(
    offer: Hold,
    known: Held | None,
    others: Sequence[Held],
    highest_fence: int,
    *,
    exclusive: bool,
    room: Room | None = None,
) -> Answer:
    """Decide on an offer of a resource that is represented here and lent.

    Args:
        offer: The hold that is offered.
        known: What the journal has of this very hold.
        others: The other holds that the journal has of the resource.
        highest_fence: The highest fence seen for the resource, 0 if none.
        exclusive: The resource takes one hold at a time.
        room: What the holds of a divisible one may have together.
    """
    if known is not None and known.hold.allocation_id in ("", offer.allocation_id):
        is_lent = known.phase in (Phase.PREPARING, Phase.READY, Phase.FAILED)
        return Repeat() if is_lent and known.hold.fence == offer.fence else Ignore()
    # After a fail-over that forgot a grant, the lab may offer what it has lent already: its fences
    # show it.
    if offer.fence <= highest_fence:
        return TurnDown(f"stale fence {offer.fence}: {highest_fence} has been seen")
    holder = next((held for held in others if held.is_live), None) if exclusive else None
    if holder is not None:
        return TurnDown(f"hold {holder.hold.id} still has it ({holder.phase})", retry_s=1.0)
    if room is not None and not _fits(offer, others, room):
        return TurnDown("holds that are not cleaned yet still have what is offered", retry_s=1.0)
    return Take()


def _fits(offer: Hold, others: Iterable[Held], room: Room) -> bool:
    shares = [held.hold.share for held in others if held.is_live]
    taken = {card for share in shares for card in share.gpus}
    return room.has([*shares, offer.share]) and taken.isdisjoint(offer.share.gpus)
