"""The resources that are represented now, and how a changed file changes them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping

from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.member import Member, Members
from hwprovisioner.resourcemanager.model import Resource
from hwprovisioner.resourcemanager.represented import Represented

_log = logging.getLogger(__name__)


class Fleet:
    """Every represented resource by its name."""

    def __init__(
        self, journal: Journal, members: Members, changed: Callable[[Represented], None]
    ) -> None:
        self._journal = journal
        self._changed = changed
        self._factory = members
        self._members: dict[str, Member] = {}

    def __iter__(self) -> Iterator[Represented]:
        return iter([member.represented for member in self._members.values()])

    def get(self, name: str) -> Represented | None:
        """Return a resource, `None` if it is not represented."""
        member = self._members.get(name)
        return member.represented if member is not None else None

    def change(self, resources: Mapping[str, Resource]) -> list[str]:
        """Take over what the file says now, and return the names of those that are gone at once.

        What is held stays as it is until `settle`.
        """
        gone = []
        for represented in self:
            if represented.name not in resources and not self._leave(represented):
                gone.append(represented.name)
        for resource in resources.values():
            represented_now = self.get(resource.name)
            if represented_now is None:
                self._add(resource)
            else:
                self._update(represented_now, resource)
        for name in {one.resource for one in self._journal.pooled.values()} - set(self._members):
            words = "instances of %s are left: it is not in the resources file; put it back there"
            _log.warning(words, name)
        return gone

    def settle(self, name: str, hold_id: str) -> None:
        """Do what had to wait until a hold of a resource was cleaned."""
        member = self._members.get(name)
        if member is None:
            return
        member.caretaker.cleaned(hold_id)
        if member.pool is not None:
            member.pool.wake()  # there is room again
        represented = member.represented
        if self._factory.is_held(name):
            return
        if represented.is_removed:
            self._remove(name)
        elif represented.successor is not None:
            self._replace(represented.successor)
        else:
            self._check_after(member, hold_id)

    def renew(self, name: str, dirty: Collection[str]) -> None:
        """Let what the file says by now count, if nothing holds a resource but what is dirty.

        It may be what was mended.
        """
        represented = self._members[name].represented
        live = {held.hold.id for held in self._journal.of(name) if held.is_live}
        if represented.successor is not None and live <= set(dirty):
            self._replace(represented.successor)

    def look_after(self, name: str, look: int, owed: Collection[str]) -> None:
        """Have a resource checked and said how it is, once these holds of it are cleaned.

        What could not be destroyed is destroyed before, too.
        """
        member = self._members[name]
        left = member.pool.try_again() if member.pool is not None else set()
        member.caretaker.look_after(look, left.union(owed))

    def give_up(self, name: str, hold_id: str, reason: str) -> None:
        """Say that a hold of a resource cannot be cleaned."""
        member = self._members.get(name)
        if member is not None:
            member.caretaker.give_up(f"hold {hold_id} is not clean: {reason}")

    def stop(self) -> None:
        """Stop looking after them."""
        for member in self._members.values():
            member.stop()
        self._factory.stop()

    def _check_after(self, member: Member, hold_id: str) -> None:
        """Check a resource that is clean again; before it is lent, if there is reason to."""
        held = self._journal.holds.get(hold_id)
        # What others have shares of is not kept from them for what failed with one.
        if held is not None and held.reason and member.represented.is_exclusive:
            member.caretaker.doubt(f"it is to be checked after hold {hold_id}: {held.reason}")
        else:
            member.caretaker.look_soon()

    def _leave(self, represented: Represented) -> bool:
        """Take a resource out of service, and return whether it stays until its holds end."""
        if not self._factory.is_held(represented.name):
            self._remove(represented.name)
            return False
        represented.is_removed = True
        represented.successor = None
        self._changed(represented)
        return True

    def _update(self, represented: Represented, resource: Resource) -> None:
        was_lent = represented.can_be_lent
        represented.is_removed = False
        represented.successor = None
        if represented.resource != resource:
            if not self._factory.is_held(represented.name):
                self._replace(resource)
                return
            _log.info("resource %s changes once what holds it has ended", resource.name)
            represented.successor = resource
        else:
            represented.resource = resource  # it may stand in other lines now
        if represented.can_be_lent != was_lent:
            self._changed(represented)

    def _replace(self, resource: Resource) -> None:
        was_ours = self._members[resource.name].represented.is_ours.is_set()
        self._remove(resource.name)
        represented = self._add(resource)
        if was_ours:
            represented.is_ours.set()
        self._changed(represented)

    def _remove(self, name: str) -> None:
        self._factory.leave(self._members.pop(name))

    def _add(self, resource: Resource) -> Represented:
        member = self._factory.enter(resource)
        self._members[resource.name] = member
        return member.represented
