"""Looking after leases and deadlines, and electing who schedules."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hwprovisioner.state.keys import Due, Kind
from hwprovisioner.state.transitions import Core, unexpected


@dataclass(frozen=True, slots=True)
class Tended:
    """What is due, and when something will be."""

    now_ms: int
    due: tuple[tuple[Due, str], ...]
    """What is due about whom, longest overdue first."""
    coming: tuple[tuple[Due, str, int], ...]
    """What will be due next about whom, and when, as far as it was asked for."""
    steady_ms: int
    """The lab's steady time, which durations are reckoned by."""


@dataclass(frozen=True, slots=True)
class Paused:
    """Leases went without care for too long and have to be restored first."""

    tended: str
    """When they were last looked after, as Redis has it."""
    now_ms: int

    @property
    def last_ms(self) -> int:
        """When they were last looked after; 0 if it says no more."""
        return int(self.tended.partition("!")[0])


@dataclass(frozen=True, slots=True)
class Silent:
    """Leases are paused, since a heartbeat replica has not been heard for a while."""

    beater: str
    silent_ms: int
    limit_ms: int
    """After so long it is given up."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A heartbeat replica was silent for too long, and is not waited for any longer."""

    beater: str
    silent_ms: int


@dataclass(frozen=True, slots=True)
class Election:
    """The outcome of an election."""

    epoch: int | None
    """The epoch that grants carry, None if another replica is elected."""
    left_ms: int
    """How long until that other's election ends, 0 if there is none."""


Outcome: TypeAlias = Tended | Paused | Silent | GivenUp
"""What comes of looking after leases."""


class Care(Core):
    """What a replica does for the lab as a whole."""

    async def tend(
        self, limit: int = 1000, ahead: int = 1, *, now_ms: int | None = None
    ) -> Outcome:
        """Say that leases are looked after, and learn what is due, and what will be.

        At most `limit` things that are, and `ahead` that will be.
        """
        keys = (self.keys.tended, self.keys.deadlines, self.keys.beaters, self.keys.looked)
        reply = await self.run("tend", keys, (limit, ahead), now_ms)
        match reply:
            case ["TENDED", int(now), list(due), list(coming), int(steady)]:
                found = tuple(_due(member) for member in due)
                next_ones = zip(coming[::2], coming[1::2], strict=True)
                ahead_of = tuple((*_due(member), int(at_ms)) for member, at_ms in next_ones)
                return Tended(now, found, ahead_of, steady)
            case ["PAUSED", str(tended), int(now)]:
                return Paused(tended, now)
            case ["SILENT", str(beater), int(silent), int(longest)]:
                return Silent(beater, silent, longest)
            case ["GIVEN_UP", str(beater), int(silent)]:
                return GivenUp(beater, silent)
        raise unexpected("tend", reply)

    async def shift(
        self,
        paused: Paused,
        step_ms: int,
        stays: Iterable[str],
        ends: Sequence[str] = (),
        *,
        now_ms: int | None = None,
    ) -> int:
        """Put off what is due after some time, since the clock was set ahead by so much (or back).

        `stays` are members of ``deadlines`` that are due at moments which people chose, besides
        beginnings of bookings and deadlines of drains. `ends` are the allocations that are kept, or
        give way to another, whose records say until when.

        Returns:
            How many deadlines were moved; 0 if another replica did it.
        """
        keys = (self.keys.tended, *(self.keys.allocation(each) for each in ends))
        reply = await self.change("shift", keys, (paused.tended, step_ms, *ends, *stays), now_ms)
        match reply:
            case ["SHIFTED", *_, int(count)]:
                return count
            case ["DONE"]:
                return 0
        raise unexpected("shift", reply)

    async def restore(
        self, paused: Paused, *, back_ms: int, chunk: int = 500, now_ms: int | None = None
    ) -> int:
        """Give leases their full length again, and managers `back_ms` to come back.

        Offers, waits, maximum durations and graces end no earlier than that either.

        With the last chunk the pause is over. The ids are read from Redis, since the view may be
        behind after what happened.

        Returns:
            How many leases were restored; 0 if another replica did it.
        """
        ids = await self._ids(Kind.ALLOCATION)
        managers = await self._ids(Kind.MANAGER)
        restored = 0
        for start in range(0, max(len(ids), 1), chunk):
            some = ids[start : start + chunk]
            last = start + chunk >= len(ids)
            record_keys = [k for i in some for k in (self.keys.allocation(i), self.keys.alarm(i))]
            reply = await self.run(
                "restore",
                (self.keys.deadlines, self.keys.tended, *record_keys),
                (
                    *("finish" if last else "", back_ms, paused.tended, len(some)),
                    *some,
                    *(managers if last else ()),
                ),
                now_ms,
            )
            match reply:
                case ["RESTORED", int(count)]:
                    restored += count
                case ["DONE"]:
                    return restored
                case _:
                    raise unexpected("restore", reply)
        return restored

    async def _ids(self, kind: Kind) -> list[str]:
        return [str(i) for i in await self._link.call("SMEMBERS", self.keys.index(kind))]

    async def touch(self, allocation_ids: Iterable[str]) -> None:
        """Look at alarm keys: Redis expires those that are due there and then, and says so."""
        keys = [self.keys.alarm(allocation_id) for allocation_id in allocation_ids]
        if keys:
            await self._link.call("EXISTS", *keys)

    async def prune_use(
        self, before_hour: int, *, step: int = 1000, now_ms: int | None = None
    ) -> int:
        """Forget what was used in hours (since the epoch) before one; returns how many entries.

        It goes through all entries, about `step` at a time, so that Redis is not kept from others.
        """
        cursor, gone = "0", 0
        while True:
            reply = await self.run("prune", (self.keys.use,), (before_hour, cursor, step), now_ms)
            match reply:
                case ["PRUNED", str(cursor), int(count)]:
                    gone += count
                case _:
                    raise unexpected("prune", reply)
            if cursor == "0":
                return gone

    async def elect(self, replica: str, span_ms: int, *, now_ms: int | None = None) -> Election:
        """Stand for election as scheduler, or prolong it; `span_ms` 0 resigns."""
        reply = await self.run("elect", (self.keys.scheduler,), (replica, span_ms), now_ms)
        match reply:
            case ["ELECTED", int(epoch)]:
                return Election(epoch, 0)
            case ["FOLLOWS", int(left)]:
                return Election(None, left)
            case ["RESIGNED"]:
                return Election(None, 0)
        raise unexpected("elect", reply)


def _due(member: str) -> tuple[Due, str]:
    kind, _, name = member.partition(":")
    return Due(kind), name
