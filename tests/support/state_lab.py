"""A lab in a real Redis whose clock the test holds, and whose scripts are held to their headers."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from hwprovisioner.heartbeat.beats import Beat, BeatWriter, Outcome
from hwprovisioner.state.allocations import Allocations, PlannedHold
from hwprovisioner.state.care import Care, Paused, Tended
from hwprovisioner.state.holds import Holds
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.state.managers import Managers, Speaker
from hwprovisioner.state.model import Allocation, Hold, Resource
from hwprovisioner.state.scripts import Script
from hwprovisioner.state.tables import Health, HoldState, Presence
from hwprovisioner.state.transitions import Commit, Limits
from hwprovisioner.state.upkeep import Upkeep
from hwprovisioner.state.view import View
from support.lab_dump import Dump, dump_of, pairs
from support.lua_header import header_of

NOW = 4_000_000_000_000
"""Far in the future, so that Redis does not delete alarm keys by its own clock."""
GIB = 2**30
TTL = 30_000
TOKEN = "the-token"
SCHEDULER = "replica"


class CheckedLink:
    """A link that holds each script to its header, and keeps its last reply."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.reply: list[Any] = []
        self.calls: list[str] = []

    async def call(self, *args: str | int | bytes) -> Any:
        return await self._link.call(*args)

    async def call_script(
        self, script: Script, keys: Sequence[str], args: Sequence[str | int | bytes]
    ) -> Any:
        self.reply = await self._link.call_script(script, keys, args)
        self.calls.append(script.name)
        header_of(script.name).check(script.name, len(keys), len(args), self.reply)
        return self.reply


@dataclass
class StateLab:
    """A lab, and a view of it that has each change at once."""

    link: Link
    keys: Keys = field(default_factory=Keys)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.checked = CheckedLink(self.link)
        self.view = View()
        self.commits: list[Commit] = []
        self.epoch = 0
        parts = (self.checked, self.keys, self._note, self.limits)
        self.allocations = Allocations(*parts)
        self.holds = Holds(*parts)
        self.managers = Managers(*parts)
        self.upkeep = Upkeep(*parts)
        self.care = Care(*parts)
        self.beats = BeatWriter(cast("Link", self.checked), self.keys)

    def _note(self, commit: Commit) -> None:
        self.commits.append(commit)
        self.view.offer(commit)

    @property
    def reply(self) -> list[Any]:
        """What the last script answered."""
        return self.checked.reply

    async def submit(
        self,
        name: str = "a",
        *,
        ttl_ms: int = TTL,
        wait_ms: int = 0,
        max_ms: int = 0,
        now_ms: int = NOW,
    ) -> str:
        allocation = Allocation(id=name, ttl_ms=ttl_ms, wait_ms=wait_ms, max_ms=max_ms)
        await self.allocations.submit(
            allocation, token=TOKEN, request_id=f"request-{name}", digest="d", now_ms=now_ms
        )
        return name

    async def register(self, name: str = "m", journal_id: str = "", now_ms: int = NOW) -> Speaker:
        return await self.managers.register(name, "1", journal_id, now_ms=now_ms)

    async def describe(
        self,
        who: Speaker,
        name: str = "r",
        spec: str = "{}",
        *,
        volunteered: bool = True,
        slots: int = 1,
        cpus: int = 8,
        memory: int = 16 * GIB,
        warnings: str = "",
        seen_fence: int = 0,
        present_manager: str = "",
    ) -> Resource:
        await self.managers.describe(
            who,
            name,
            spec,
            volunteered=volunteered,
            slots=slots,
            cpus=cpus,
            memory=memory,
            warnings=warnings,
            seen_fence=seen_fence,
            present_manager=present_manager,
            now_ms=NOW,
        )
        return self.view.resources[name]

    async def drain(
        self,
        name: str = "r",
        why: str = "",
        operator: str = "",
        *,
        deadline_ms: int | None = None,
        now_ms: int = NOW,
    ) -> int | None:
        """Drain a resource as the view knows it, marking those that hold it."""
        resource, live = self._held(name)
        return await self.upkeep.drain(
            *(resource, why, operator, live), deadline_ms=deadline_ms, now_ms=now_ms
        )

    async def enable(
        self, name: str = "r", why: str = "", operator: str = "", *, now_ms: int = NOW
    ) -> int | None:
        """Enable a resource as the view knows it, and take the marks away."""
        resource, live = self._held(name)
        return await self.upkeep.enable(resource, why, operator, live, now_ms=now_ms)

    async def judge(
        self,
        name: str,
        health: Health,
        why: str = "",
        *,
        look: int | None = None,
        now_ms: int = NOW,
    ) -> None:
        """Let its manager say how a resource is; it knows of all looks unless `look` is given."""
        resource, _ = self._held(name)
        known = self.view.managers.get(resource.manager)
        who = Speaker(resource.manager, known.epoch if known else 1)
        newest = resource.looks if look is None else look
        await self.upkeep.say_health(who, name, health, why, newest, now_ms=now_ms)

    def _held(self, name: str) -> tuple[Resource, list[str]]:
        resource = self.view.resources.get(name) or Resource(name=name)
        holds = [self.view.holds[hold] for hold in resource.holds]
        live = {hold.allocation for hold in holds if hold.state is not HoldState.CLEANING}
        return resource, sorted(live)

    async def elect(self, replica: str = SCHEDULER, now_ms: int = NOW) -> int:
        election = await self.care.elect(replica, 60_000, now_ms=now_ms)
        assert election.epoch is not None
        self.epoch = election.epoch
        return self.epoch

    async def tend(self, now_ms: int = NOW) -> Tended:
        outcome = await self.care.tend(now_ms=now_ms)
        assert isinstance(outcome, Tended)
        return outcome

    async def paused(self, now_ms: int) -> Paused:
        """Tend after a gap, so that leases are paused."""
        outcome = await self.care.tend(now_ms=now_ms)
        assert isinstance(outcome, Paused)
        return outcome

    async def looked_after(self, now_ms: int) -> None:
        """Do as if leases had been looked after ever since."""
        await self.link.call("SET", self.keys.tended, now_ms)

    def planned(
        self,
        resource: str,
        host: str = "host",
        *,
        nth: int = 1,
        cpus: int = 1,
        memory: int = GIB,
        gpus: tuple[int, ...] = (),
    ) -> PlannedHold:
        """Plan a host as the view has it, the `nth` of a set on that resource."""
        known = self.view.resources[resource]
        return PlannedHold(
            *(host, resource, known.manager, known.generation, known.fence + nth),
            *(cpus, memory, gpus, known.booked),
        )

    async def grant(self, name: str, *holds: PlannedHold, now_ms: int = NOW) -> list[Hold]:
        """Grant an allocation; without `holds`, one host on resource r."""
        planned = holds or (self.planned("r"),)
        await self.allocations.grant(name, planned, epoch=self.epoch, now_ms=now_ms)
        return [self.view.holds[hold] for hold in self.view.allocations[name].holds]

    async def beat(self, name: str, *, token: str = TOKEN, now_ms: int = NOW) -> Outcome:
        [outcome] = await self.beats.write([Beat(name, token)], now_ms=now_ms)
        return outcome

    async def deadline_ms(self, member: str) -> int | None:
        score = await self.link.call("ZSCORE", self.keys.deadlines, member)
        return None if score is None else int(score)

    async def logged(self, after: int) -> list[Commit]:
        """Return what the change log has after a revision."""
        entries = await self.link.call("XRANGE", self.keys.log, f"({after}-0", "+")
        found = []
        for entry_id, fields in entries:
            values = dict(pairs(fields))
            revision = int(entry_id.partition("-")[0])
            found.append(Commit(revision, int(values["t"]), values["e"], values["c"]))
        return found

    async def dump(self) -> Dump:
        """Return everything that Redis has of the lab."""
        return await dump_of(self.link, self.keys)


async def manager_in(lab: StateLab, presence: Presence | None) -> Speaker:
    """Bring manager m into a state of presence that it entered at NOW."""
    if presence is None:
        return Speaker("m", 1)
    who = await lab.register()
    if presence is not Presence.ONLINE:
        await lab.managers.disconnect("m", who.epoch, now_ms=NOW - lab.limits.lost_ms)
    if presence is Presence.LOST:
        await lab.managers.lose("m", now_ms=NOW)
    elif presence is Presence.DISCONNECTED:
        await lab.link.call("ZADD", lab.keys.deadlines, NOW + lab.limits.lost_ms, "manager:m")
    assert lab.view.managers["m"].presence is presence
    return who


async def unchanged(lab: StateLab, doing: Awaitable[object]) -> object:
    """Expect nothing at all to change, deadlines and log included; return the result."""
    before = await lab.dump()
    result = await doing
    assert await lab.dump() == before
    return result


async def refused(lab: StateLab, doing: Awaitable[object], error: type[Exception]) -> None:
    """Expect an error, and nothing at all to change."""
    before = await lab.dump()
    with pytest.raises(error):
        await doing
    assert await lab.dump() == before
