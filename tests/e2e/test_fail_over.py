"""A replica takes over that lacked the last changes: from the SDK to the hardware."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hwprovisioner.client import AsyncHardware, AsyncLab, LeaseLost
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.state.tables import AllocationState, EndReason
from support.beating import heartbeat
from support.eventually import eventually
from support.lab_promises import Records, check_promises
from support.manager import Hardware, Manager, box, manager
from support.sentinels import Pair, watched_pair
from support.services import allocate
from support.state_lab import StateLab

NAMES = ("first", "second", "third")


@dataclass(frozen=True)
class Bench:
    """Three machines, and those who lend them."""

    pair: Pair
    sdk: AsyncLab
    manager: Manager
    hardware: Hardware
    state: StateLab

    async def records(self) -> Records:
        return check_promises(await self.state.dump(), {})

    async def is_copied(self) -> bool:
        """Whether the replica has all that the lab has done so far."""
        revision = await self.state.link.call("GET", Keys().revision)
        return str(revision).encode() in self.pair.second.command(f"GET {Keys().revision}")

    async def fail_over(self) -> None:
        self.pair.first.kill()
        await eventually(lambda: not self.state.link.connected)
        await self.state.link.wait_connected()

        async def is_back() -> bool:
            managers = (await self.records()).managers.values()
            return bool(managers) and all(m.epoch and not m.returning for m in managers)

        await eventually(is_back)

    def count(self, call: str) -> int:
        return self.hardware.calls.count(call)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    hardware = Hardware()
    resources = {name: box(name) for name in NAMES}
    with watched_pair() as pair:
        async with (
            allocate(pair.url) as service,
            heartbeat(pair.url) as beats,
            AsyncLab(service.target, beats) as sdk,
            Link(pair.url) as link,
            manager(service.target, tmp_path / "journal", hardware, resources) as agent,
        ):
            yield Bench(pair, sdk, agent, hardware, StateLab(link))


async def test_what_can_be_kept_is_kept_and_the_rest_is_lost_with_a_reason(bench: Bench) -> None:
    sdk, hardware = bench.sdk, bench.hardware
    hardware.trouble["second"] = "too hot"
    await eventually(lambda: is_to_be_had(bench, "first", "third"))
    async with sdk.allocate(resource="first", lease_ttl="60s") as copied:
        waiting = asyncio.ensure_future(sdk.allocate(resource="second").__aenter__())
        await eventually(lambda: is_queued(bench))
        await eventually(bench.is_copied)
        bench.pair.cut_off()
        del hardware.trouble["second"]
        granted = await waiting
        block = sdk.allocate(resource="third", lease_ttl="60s")
        unknown = await block.__aenter__()
        lost: list[LeaseLost] = []
        unknown.on_lost(lost.append)

        await bench.fail_over()
        await eventually(lambda: lost)
        assert lost[0].reason == "NO_SUCH_ALLOCATION"
        assert "it has lost its state" in lost[0].detail
        with pytest.raises(LeaseLost):
            _ = unknown.host.address
        await eventually(lambda: bench.count(f"clean {hold_of(unknown)}") == 1)

        await eventually(lambda: is_ready(bench, copied, granted))
        for each in (copied, granted):
            each.check()
            assert each.host.address == "there"
            assert bench.count(f"prepare {hold_of(each)}") == 1
        await granted.release()
        await block.abandon()
    records = await bench.records()
    for each in (copied, granted):
        assert records.allocations[each.allocation_id].end_reason is EndReason.RELEASED
    await eventually(lambda: is_free(bench))
    for name in NAMES:
        seen = bench.manager.journal.fence(name)
        async with sdk.allocate(resource=name):
            [hold] = (await bench.records()).resources[name].holds
            assert int(hold.rpartition(".")[2]) > seen
    prepared = [call for call in hardware.calls if call.startswith("prepare")]
    assert len(prepared) == len(set(prepared)) == 6


def hold_of(hardware: AsyncHardware) -> str:
    """Return the first hold of a machine."""
    return f"{next(iter(hardware.resources.values()))}.1"


async def is_to_be_had(bench: Bench, *names: str) -> bool:
    resources = (await bench.records()).resources.values()
    return {each.name for each in resources if each.volunteered} == set(names)


async def is_queued(bench: Bench) -> bool:
    allocations = (await bench.records()).allocations.values()
    return AllocationState.QUEUED in {each.state for each in allocations}


async def is_ready(bench: Bench, *held: AsyncHardware) -> bool:
    known = (await bench.records()).allocations
    return {known[each.allocation_id].state for each in held} == {AllocationState.READY}


async def is_free(bench: Bench) -> bool:
    resources = (await bench.records()).resources.values()
    return not any(each.holds for each in resources)
