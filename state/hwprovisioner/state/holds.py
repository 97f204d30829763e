"""What managers say about holds."""

from collections.abc import Sequence
from dataclasses import dataclass

from hwprovisioner.state import errors
from hwprovisioner.state.keys import Kind
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.model import Hold
from hwprovisioner.state.transitions import Core, Reply, unexpected


@dataclass(frozen=True, slots=True)
class HeldHost:
    """A host that a manager has in hand."""

    host: str
    resource: str
    fence: int
    """Of its hold, as it began."""
    cpus: int
    memory: int
    gpus: tuple[int, ...]


class Holds(Core):
    """What managers say about holds. A repeated message changes nothing and raises nothing."""

    async def accept(
        self, who: Speaker, hold_id: str, fence: int, *, now_ms: int | None = None
    ) -> None:
        """Take up an offer."""
        reply = await self.change(
            "accept", self._keys(who, hold_id), (who.epoch, hold_id, fence), now_ms
        )
        self._check("accept", reply, who, hold_id, fence)

    async def retake(
        self,
        who: Speaker,
        allocation_id: str,
        hosts: Sequence[HeldHost],
        *,
        now_ms: int | None = None,
    ) -> str:
        """Give an allocation back all its hosts, which a manager has in hand and Redis has lost.

        Returns:
            Why that cannot be; empty if it is done.
        """
        keys = self.keys
        names = [keys.index(Kind.HOLD), keys.waits, keys.looked]
        names += [keys.manager(who.manager_id), keys.allocation(allocation_id)]
        args: list[object] = [who.manager_id, who.epoch, allocation_id]
        for each in hosts:
            names += [keys.resource(each.resource), keys.hold(f"{each.resource}.{each.fence}")]
            args += [each.host, each.resource, each.fence, each.cpus, each.memory]
            args.append(",".join(map(str, each.gpus)))
        reply = await self.change("retake", names, args, now_ms)
        match reply:
            case ["NOT_QUEUED", state]:
                return f"the lab has it as {str(state or 'gone').lower()}"
            case ["REFUSED", str(resource), str(why)]:
                return f"{resource}: {why}"
            case ["RETAKEN", *_]:
                return ""
        self._check("retake", reply, who, "", 0)
        raise unexpected("retake", reply)

    async def progress(
        self, who: Speaker, hold_id: str, fence: int, line: str, *, now_ms: int | None = None
    ) -> None:
        """Say how readying up or cleaning goes."""
        reply = await self.change(
            "progress", self._keys(who, hold_id), (who.epoch, hold_id, fence, line), now_ms
        )
        self._check("progress", reply, who, hold_id, fence)

    async def ready(
        self, who: Speaker, hold: Hold, fence: int, connection: str, *, now_ms: int | None = None
    ) -> bool:
        """Hand a host over; `connection` is JSON. Returns whether it had not been ready before."""
        reply = await self.change(
            "ready",
            (*self._keys(who, hold.id), self.keys.allocation(hold.allocation)),
            (who.epoch, hold.id, fence, hold.allocation, connection),
            now_ms,
        )
        self._check("ready", reply, who, hold.id, fence)
        return bool(reply[0] == "READY")

    async def decline(
        self,
        who: Speaker,
        hold: Hold,
        fence: int,
        siblings: Sequence[str],
        why: str,
        rest_ms: int,
        *,
        now_ms: int | None = None,
    ) -> None:
        """Turn an offer down; the resource rests for `rest_ms`."""
        keys = self.keys

        async def attempt(holds: Sequence[str]) -> Reply:
            return await self.change(
                "decline",
                (
                    *keys.endings,
                    keys.removed,
                    keys.index(Kind.HOLD),
                    keys.index(Kind.RESOURCE),
                    *self._keys(who, hold.id),
                    keys.allocation(hold.allocation),
                    keys.resource(hold.resource),
                    *self.hold_keys(holds),
                ),
                (who.epoch, fence, hold.allocation, hold.resource, why, rest_ms, *holds),
                now_ms,
            )

        reply = await self.change_with_holds(siblings, attempt)
        self._check("decline", reply, who, hold.id, fence)

    async def fail(
        self,
        who: Speaker | None,
        hold: Hold,
        fence: int,
        siblings: Sequence[str],
        why: str,
        *,
        now_ms: int | None = None,
    ) -> None:
        """Give a hold up: it could not be readied up, or broke.

        Without `who` it is the lab that says so, if the time to accept is over.
        """

        async def attempt(holds: Sequence[str]) -> Reply:
            return await self.change(
                "fail",
                (
                    *self.keys.endings,
                    self.keys.manager(who.manager_id if who else hold.manager),
                    self.keys.hold(hold.id),
                    self.keys.allocation(hold.allocation),
                    self.keys.alarm(hold.allocation),
                    *self.hold_keys(holds),
                ),
                (
                    who.epoch if who else "",
                    *(hold.id, fence, hold.allocation, hold.resource, why),
                    *(self.limits.tries, self.limits.retention_ms, "" if who else "1"),
                    *holds,
                ),
                now_ms,
            )

        reply = await self.change_with_holds(siblings, attempt)
        if who:
            self._check("fail", reply, who, hold.id, fence)

    async def cleaned(
        self, who: Speaker, hold_id: str, fence: int, *, now_ms: int | None = None
    ) -> None:
        """Free what a hold had. A hold that is gone was cleaned before."""
        keys = self.keys
        reply = await self.change(
            "cleaned",
            (
                keys.removed,
                keys.index(Kind.HOLD),
                keys.index(Kind.RESOURCE),
                *self._keys(who, hold_id),
                keys.resource(hold_id.rpartition(".")[0]),
            ),
            (who.epoch, fence),
            now_ms,
        )
        if reply[0] != "NO_SUCH_HOLD":
            self._check("cleaned", reply, who, hold_id, fence)

    def _keys(self, who: Speaker, hold_id: str) -> tuple[str, str]:
        return self.keys.manager(who.manager_id), self.keys.hold(hold_id)

    def _check(self, event: str, reply: Reply, who: Speaker, hold_id: str, fence: int) -> None:
        match reply:
            case ["SUPERSEDED"]:
                raise errors.Superseded(who.manager_id)
            case ["FORGOTTEN"]:
                raise errors.Forgotten(who.manager_id)
            case ["NO_SUCH_HOLD"]:
                raise errors.NoSuchHold(hold_id)
            case ["STALE_FENCE", present]:
                raise errors.StaleFence(hold_id, fence, int(present))
            case ["WRONG_STATE", state]:
                raise errors.WrongState(f"hold {hold_id!r}", str(state), event)
            case ["SAME"] | [_, _, _, _, _]:
                return
        raise unexpected(event, reply)
