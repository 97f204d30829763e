"""The host that a holder means, and how long it is theirs."""

import asyncio

from hwprovisioner.allocate.dispatch import Dispatch
from hwprovisioner.allocate.freshness import Freshness
from hwprovisioner.allocate.violations import Violations
from hwprovisioner.serving import Refused
from hwprovisioner.state.errors import NoSuchAllocation
from hwprovisioner.state.keys import Kind
from hwprovisioner.state.model import Allocation, Hold
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.tables import AllocationState, HoldState, Presence
from hwprovisioner.state.view import Change, View


class HeldHosts:
    """Hosts that were handed over, for whoever has the token."""

    def __init__(
        self, view: View, freshness: Freshness, dispatch: Dispatch, reader: Reader
    ) -> None:
        """Look hosts up in `view`; `reader` checks tokens."""
        self._view = view
        self._freshness = freshness
        self._dispatch = dispatch
        self._reader = reader

    async def find(self, allocation_id: str, token: str, host: str) -> Hold:
        """Return the hold of a host, by its name in the demands; "" is the only one.

        Raises:
            Refused: BAD_REQUEST, NO_SUCH_HOST, NOT_READY, ALLOCATION_ENDED.
            NoSuchAllocation, WrongToken: there is none, or that is not its token.
        """
        _check(allocation_id, token, host)
        await self._freshness.check()
        await self._reader.check_token(allocation_id, token)
        await self._freshness.has(allocation_id)
        try:
            return self._find(allocation_id, host)
        except Refused:
            # The holder may know from another replica what has not come here yet.
            await self._freshness.catch_up()
            return self._find(allocation_id, host)

    async def until_over(self, hold: Hold) -> None:
        """Wait until the host must not be reached any longer.

        Raises:
            Refused: ALLOCATION_ENDED, MANAGER_SILENT, or STOPPING if this server stops; always.
        """
        news = asyncio.Event()

        def note(change: Change | None) -> None:
            news.set()

        subscribed = self._dispatch.subscribed
        with (
            subscribed((Kind.ALLOCATION, hold.allocation), note),
            subscribed((Kind.MANAGER, hold.manager), note),
        ):
            while True:
                news.clear()
                self._check_is_theirs(hold)
                await self._dispatch.wait(news)

    def _find(self, allocation_id: str, host: str) -> Hold:
        allocation = self._view.allocations.get(allocation_id)
        if allocation is None:
            raise NoSuchAllocation(allocation_id)
        if allocation.state is AllocationState.ENDED:
            raise _ended(allocation)
        holds = [held for i in allocation.holds if (held := self._view.holds.get(i)) is not None]
        if not holds or allocation.state is not AllocationState.READY:
            raise Refused(
                "NOT_READY",
                f"allocation {allocation_id!r} is {allocation.state}: its hosts have not been"
                " handed over",
                metadata={"allocation_id": allocation_id},
            )
        return _named(host, holds, allocation_id)

    def _check_is_theirs(self, hold: Hold) -> None:
        present = self._view.holds.get(hold.id)
        if present is None or present.state is not HoldState.READY:
            allocation = self._view.allocations.get(hold.allocation)
            raise _ended(allocation) if allocation else NoSuchAllocation(hold.allocation)
        manager = self._view.managers.get(hold.manager)
        if manager is None or manager.presence is not Presence.ONLINE:
            raise silent(hold)


def silent(hold: Hold) -> Refused:
    """Return the refusal of what a manager is needed for that does not answer."""
    return Refused(
        "MANAGER_SILENT",
        f"the resource manager {hold.manager!r} of host {hold.host!r} is away, or does not answer:"
        " try again when it is back",
        metadata={"manager_id": hold.manager, "host": hold.host},
    )


def _ended(allocation: Allocation) -> Refused:
    reason, detail = str(allocation.end_reason or ""), allocation.end_detail
    return Refused(
        "ALLOCATION_ENDED",
        f"allocation {allocation.id!r} does not have this host any longer"
        + (f" ({reason}{': ' if detail else ''}{detail})" if reason else ""),
        metadata={"allocation_id": allocation.id, "end_reason": reason, "end_detail": detail},
    )


def _named(host: str, holds: list[Hold], allocation_id: str) -> Hold:
    found = [hold for hold in holds if host in ("", hold.host)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(sorted(hold.host for hold in holds))
    said = f"has no host {host!r}" if host else "has several hosts: say which"
    raise Refused(
        "NO_SUCH_HOST",
        f"allocation {allocation_id!r} {said}; it has {names}",
        metadata={"allocation_id": allocation_id, "host": host, "hosts": names},
    )


def _check(allocation_id: str, token: str, host: str) -> None:
    violations = Violations()
    for field, value in (("allocation_id", allocation_id), ("token", token)):
        if not value:
            violations.add(field, "is missing: it came with the first update")
    if allocation_id:
        violations.name("allocation_id", allocation_id)
    violations.text("host", host)
    violations.check()
