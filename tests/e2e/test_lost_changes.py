"""Redis loses its last changes, at each step of a hold's life: what managers know puts it right.

Allocate, the manager and Redis are the real ones; the hardware is not, and notes who used it.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import DriverError
from hwprovisioner.state.link import Link
from hwprovisioner.state.model import Resource
from hwprovisioner.state.tables import HoldState
from support.asking import Asked, asking
from support.eventually import eventually
from support.lab_promises import Records, check_promises
from support.lost_tail import cut_after
from support.manager import Hardware, Manager, manager
from support.redis_server import RedisServer, running
from support.services import Running, allocate
from support.state_lab import StateLab

TTL_S = 600


@dataclass(frozen=True)
class Bench:
    """One machine, `box`, and those who lend it."""

    server: RedisServer
    service: Running
    manager: Manager
    hardware: Hardware
    state: StateLab

    async def records(self) -> Records:
        """Return what Redis has, which must be consistent."""
        return check_promises(await self.state.dump(), {})

    async def box(self) -> Resource:
        resources = (await self.records()).resources
        assert "box" in resources
        return resources["box"]

    async def outcome(self, asked: Asked) -> str:
        """Return the end reason of an allocation, or its state, or that it is not known."""
        allocation = (await self.records()).allocations.get(asked.id)
        if allocation is None:
            return "unknown"
        return allocation.end_reason or allocation.state

    def asking(self) -> contextlib.AbstractAsyncContextManager[Asked]:
        return asking(self.service.stub, lease_ttl=TTL_S)

    async def until_free(self) -> None:
        async def is_free() -> bool:
            box = await self.box()
            return box.volunteered and not box.holds

        await eventually(is_free)

    async def until_ready(self) -> None:
        """Wait until the box is held by somebody whose hold the manager has, and no other."""

        async def is_held() -> bool:
            records = await self.records()
            holds = list(records.holds.values())
            live = [held.hold.id for held in self.manager.journal.holds.values() if held.is_live]
            return [hold.state for hold in holds] == [HoldState.READY] and live == [holds[0].id]

        await eventually(is_held)

    def check_never_twice(self) -> None:
        """Fail if the box was readied up for a hold before it was clean after the last."""
        holder = ""
        for call in self.hardware.calls:
            action, _, hold = call.partition(" ")
            if action == "prepare":
                assert holder in ("", hold), self.hardware.calls
                holder = hold
            elif action == "clean" and hold == holder:
                holder = ""

    async def check_goes_on(self) -> None:
        """Whoever asks next gets the box, and the fences are above what either side has seen."""
        seen = self.manager.journal.fence("box")
        assert (await self.box()).fence >= seen
        async with self.asking() as next_one:
            await next_one.until("ready")
            [hold] = (await self.box()).holds
            assert int(hold.rpartition(".")[2]) > seen
            await next_one.release()
        await self.until_free()
        self.check_never_twice()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    hardware = Hardware()
    with running(durable=True) as server:
        async with (
            allocate(server.url) as service,
            Link(server.unix_url) as link,
            manager(service.target, tmp_path / "journal", hardware) as agent,
        ):
            bench = Bench(server, service, agent, hardware, StateLab(link))
            await eventually(lambda: link.connected)
            await bench.until_free()
            yield bench


async def lose(bench: Bench, event: str, nth: int) -> None:
    """Let Redis lose what came after a change, and wait until it is there again."""
    bench.server.kill()
    await eventually(lambda: not bench.state.link.connected)
    cut_after(bench.server, event, nth)
    bench.server.start()
    await bench.state.link.wait_connected()


def open_gates(hardware: Hardware) -> None:
    for gate in hardware.gates.values():
        gate.set()


BEFORE = ("submit", 0)
SUBMITTED, GRANTED, ACCEPTED, READY = ("submit", 1), ("grant", 1), ("accept", 1), ("ready", 1)
RELEASED, CLEANED = ("release", 1), ("cleaned", 1)


@pytest.mark.parametrize("at", [SUBMITTED, GRANTED, ACCEPTED])
async def test_what_is_being_readied_up_goes_on(bench: Bench, at: tuple[str, int]) -> None:
    bench.hardware.gate("prepare")
    async with bench.asking() as asked:
        await eventually(lambda: bench.hardware.running)
        await eventually(lambda: is_in(bench, HoldState.PREPARING))
        await lose(bench, *at)
        await eventually(lambda: is_in(bench, HoldState.PREPARING))
        open_gates(bench.hardware)
        await bench.until_ready()
        assert bench.hardware.calls == ["prepare box.1"], "not even once more"
        await asked.release()
    await bench.until_free()
    await bench.check_goes_on()


async def is_in(bench: Bench, state: HoldState) -> bool:
    return [hold.state for hold in (await bench.records()).holds.values()] == [state]


@pytest.mark.parametrize("at", [SUBMITTED, GRANTED, ACCEPTED, READY])
async def test_what_its_holder_uses_is_kept(bench: Bench, at: tuple[str, int]) -> None:
    async with bench.asking() as asked:
        await asked.until("ready")
        await lose(bench, *at)
        await eventually(lambda: is_back(bench))
        await bench.until_ready()
        assert bench.hardware.calls == ["prepare box.1"]
        assert (await bench.box()).holds == ("box.1",)
        if at != READY:
            await asked.until("ready")
        [host] = asked.allocation.hosts.values()
        assert host.connection.address == "there"
        assert (await asked.release()).id == asked.id
        assert await bench.outcome(asked) == "RELEASED"
    await bench.until_free()
    await bench.check_goes_on()


async def is_back(bench: Bench) -> bool:
    """Whether the manager has registered since, and told all it has."""
    managers = (await bench.records()).managers
    return bool(managers) and all(m.epoch and not m.returning for m in managers.values())
