"""What managers say about themselves and their resources, and what becomes of them."""

from dataclasses import dataclass

from hwprovisioner.state import errors
from hwprovisioner.state.keys import Kind
from hwprovisioner.state.tables import PresenceEvent
from hwprovisioner.state.transitions import Core, Reply, unexpected


@dataclass(frozen=True, slots=True)
class Speaker:
    """A manager's registration, in whose name holds are moved."""

    manager_id: str
    epoch: int


class Managers(Core):
    """What managers say about themselves and their resources, and what becomes of them."""

    async def register(
        self, manager_id: str, version: str, journal_id: str = "", *, now_ms: int | None = None
    ) -> Speaker:
        """Register a manager: its registrations before are stale from now on.

        With another `journal_id` than before, it does not know what was begun until then.
        """
        keys = self.keys
        reply = await self.change(
            "register",
            (keys.index(Kind.MANAGER), keys.manager(manager_id)),
            (manager_id, version, self.limits.silence_ms, journal_id),
            now_ms,
        )
        match reply:
            case ["REGISTERED", *_, int(epoch)]:
                return Speaker(manager_id, epoch)
        raise unexpected("register", reply)

    async def describe(
        self,
        who: Speaker,
        name: str,
        spec: str,
        *,
        volunteered: bool,
        why_not: str = "",
        slots: int,
        cpus: int,
        memory: int,
        warnings: str = "",
        seen_fence: int = 0,
        present_manager: str = "",
        now_ms: int | None = None,
    ) -> None:
        """Say what a resource is, and whether it is to be had.

        A resource of a lost manager (`present_manager`) that nothing holds is taken over. Empty
        `warnings` leave those that are known. Its next fence is above `seen_fence`, the highest
        that the manager knows of it.

        Raises:
            NameTaken: another manager represents a resource of that name.
        """
        keys = self.keys
        reply = await self.change(
            "describe",
            (
                keys.removed,
                keys.index(Kind.RESOURCE),
                keys.manager(who.manager_id),
                keys.resource(name),
                keys.manager(present_manager or who.manager_id),
            ),
            (
                *(*_names(who, name), int(volunteered), why_not),
                *(spec, slots, cpus, memory, warnings, seen_fence),
            ),
            now_ms,
        )
        if reply[0] == "TAKEN":
            raise errors.NameTaken(name, str(reply[1]))
        self._check(reply, who, name)

    async def withdraw(
        self, who: Speaker, name: str, why: str, *, removed: bool, now_ms: int | None = None
    ) -> None:
        """Say that a resource is not to be had, or no longer exists."""
        keys = self.keys
        reply = await self.change(
            "withdraw",
            (
                keys.removed,
                keys.index(Kind.RESOURCE),
                keys.manager(who.manager_id),
                keys.resource(name),
            ),
            (*_names(who, name), why, int(removed)),
            now_ms,
        )
        self._check(reply, who, name)

    async def returned(self, who: Speaker, *, now_ms: int | None = None) -> None:
        """Note that all is settled that a manager held when the lab may have lost something.

        Raises:
            Superseded: the manager has registered anew.
            Forgotten: Redis has lost its registration.
        """
        keys = (self.keys.manager(who.manager_id),)
        reply = await self.change("returned", keys, (who.manager_id, who.epoch), now_ms)
        self._check(reply, who, "")

    async def heard(self, who: Speaker, *, now_ms: int | None = None) -> None:
        """Note a sign of life.

        Raises:
            Superseded: the manager has registered anew.
            Forgotten: Redis has lost its registration.
            WrongState: it had been given up and must register anew.
        """
        reply = await self.run(
            "heard",
            (self.keys.deadlines, self.keys.manager(who.manager_id)),
            (who.manager_id, who.epoch, self.limits.silence_ms),
            now_ms,
        )
        match reply:
            case ["SUPERSEDED"]:
                raise errors.Superseded(who.manager_id)
            case ["FORGOTTEN"]:
                raise errors.Forgotten(who.manager_id)
            case ["WRONG_STATE", state]:
                raise errors.WrongState(f"manager {who.manager_id!r}", str(state), "sign of life")

    async def disconnect(
        self, manager_id: str, epoch: int | None = None, *, now_ms: int | None = None
    ) -> bool:
        """Take a manager for away: its stream (of `epoch`) is gone, or it has been silent.

        Returns:
            Whether it was there.
        """
        limit_ms = self.limits.lost_ms
        return await self._move(manager_id, epoch, PresenceEvent.DISCONNECT, limit_ms, now_ms)

    async def lose(self, manager_id: str, *, now_ms: int | None = None) -> bool:
        """Give a manager up that has been away for too long. Returns whether it was."""
        return await self._move(manager_id, None, PresenceEvent.LOSE, 0, now_ms)

    async def settle(self, manager_id: str, *, now_ms: int | None = None) -> None:
        """Note that everything on the resources of a lost manager has been ended."""
        keys = (self.keys.deadlines, self.keys.manager(manager_id))
        await self.run("settle", keys, (manager_id,), now_ms)

    async def rested(self, name: str, *, now_ms: int | None = None) -> None:
        """Let a declined resource be offered again, if its rest is over."""
        await self.change("rested", (self.keys.resource(name),), (name,), now_ms)

    async def _move(
        self,
        manager_id: str,
        epoch: int | None,
        event: PresenceEvent,
        next_ms: int,
        now_ms: int | None,
    ) -> bool:
        reply = await self.change(
            "presence",
            (self.keys.manager(manager_id),),
            (manager_id, "" if epoch is None else epoch, event, next_ms),
            now_ms,
        )
        return bool(reply[0] == "MOVED")

    def _check(self, reply: Reply, who: Speaker, name: str) -> None:
        match reply:
            case ["SUPERSEDED"]:
                raise errors.Superseded(who.manager_id)
            case ["FORGOTTEN"]:
                raise errors.Forgotten(who.manager_id)
            case ["NO_SUCH_RESOURCE"]:
                raise errors.NoSuchResource(name)
            case ["SAME"] | [_, _, _, _, _]:
                return
        raise unexpected("describe or withdraw", reply)


def _names(who: Speaker, name: str) -> tuple[object, ...]:
    return who.manager_id, who.epoch, name
