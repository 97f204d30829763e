"""One machine, those who lend it, and a Redis that loses its last changes.

Allocate, the manager and Redis are the real ones; the hardware is not, and notes who used it.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from hwprovisioner.state.model import Resource
from hwprovisioner.state.tables import HoldState
from support.asking import Asked, asking
from support.eventually import eventually
from support.lab_promises import Records, check_promises
from support.lost_tail import cut_after
from support.manager import Hardware, Manager
from support.redis_server import RedisServer
from support.services import Running
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


async def lose(bench: Bench, event: str, nth: int) -> None:
    """Let Redis lose what came after a change, and wait until the lab has seen that."""
    await restart(bench, lambda: cut_after(bench.server, event, nth))


async def restart(bench: Bench, meanwhile: Callable[[], None] = lambda: None) -> None:
    link, key = bench.state.link, bench.state.keys.run
    run = await link.call("GET", key)
    bench.server.kill()
    await eventually(lambda: not link.connected)
    meanwhile()
    bench.server.start()
    await link.wait_connected()

    async def is_recognized() -> bool:
        return bool(await link.call("GET", key) != run)

    await eventually(is_recognized)
