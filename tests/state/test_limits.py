"""Many and large: what scripts are given at once, and the largest numbers."""

import asyncio

import pytest

from hwprovisioner.heartbeat.beats import Alive, Beat
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.tables import AllocationState
from support.lab_promises import check_promises
from support.state_lab import NOW, TOKEN, TTL, StateLab

MOST = 2**53
"""The largest number that a demand or a resource may name."""


async def many(lab: StateLab, count: int) -> list[str]:
    return list(await asyncio.gather(*(lab.submit(f"a{i}") for i in range(count))))


async def test_a_thousand_beats_are_one_script(lab: StateLab) -> None:
    names = await many(lab, 1_000)
    outcomes = await lab.beats.write([Beat(name, TOKEN) for name in names], now_ms=NOW + 1)
    assert outcomes == [Alive(TTL, TTL, "QUEUED", None)] * 1_000
    assert await lab.deadline_ms("lease:a999") == NOW + 1 + TTL


@pytest.mark.parametrize("chunk", [500, 2_000])
async def test_a_thousand_leases_are_restored(lab: StateLab, chunk: int) -> None:
    await lab.tend()
    await many(lab, 1_001)
    await asyncio.gather(*(lab.register(f"m{i}") for i in range(1_000)))
    back = NOW + 3_600_000
    paused = await lab.paused(back)
    count = await lab.care.restore(paused, back_ms=60_000, chunk=chunk, now_ms=back)
    assert count == 1_001
    assert await lab.deadline_ms("lease:a1000") == back + TTL
    assert await lab.deadline_ms("manager:m999") == back + 60_000


async def test_a_set_of_64_hosts_lives_its_whole_life(lab: StateLab) -> None:
    who = await lab.register()
    await lab.elect()
    names = [f"n{i}" for i in range(64)]
    for name in names:
        await lab.describe(who, name)
    await lab.submit()
    holds = await lab.grant("a", *(lab.planned(name, host=name) for name in names))
    for hold in holds:
        await lab.holds.accept(who, hold.id, hold.fence, now_ms=NOW)
    for hold in holds[:-1]:
        await lab.holds.ready(who, hold, hold.fence, "{}", now_ms=NOW)
    assert lab.view.allocations["a"].pending == 1
    await lab.holds.fail(who, holds[-1], holds[-1].fence, [], "smoke", now_ms=NOW)
    assert lab.view.allocations["a"].state is AllocationState.QUEUED
    assert len(lab.view.holds) == 64
    check_promises(await lab.dump(), {})
    for cleaning in list(lab.view.holds.values()):
        await lab.holds.cleaned(who, cleaning.id, cleaning.fence, now_ms=NOW)
    check_promises(await lab.dump(), {})
    assert lab.view.holds == {}


async def test_the_largest_times_and_numbers_are_kept_to_the_last_digit(lab: StateLab) -> None:
    allocation = Allocation(id="a", ttl_ms=MOST - NOW, wait_ms=MOST - NOW, max_ms=MOST - NOW)
    await lab.allocations.submit(allocation, token=TOKEN, request_id="r", digest="d", now_ms=NOW)
    await lab.describe(await lab.register(), cpus=MOST, memory=MOST, slots=10_000)
    await lab.elect()
    gpus = tuple(range(64))
    await lab.grant("a", lab.planned("r", cpus=MOST, memory=MOST - 1, gpus=gpus))
    found, hold = lab.view.allocations["a"], lab.view.holds["r.1"]
    assert (found.ttl_ms, found.wait_ms, found.max_ms) == (MOST - NOW,) * 3
    assert found.left_ms == MOST - NOW
    assert (hold.cpus, hold.memory, hold.gpus) == (MOST, MOST - 1, gpus)
    assert lab.view.resources["r"].used_memory == MOST - 1
    assert await lab.deadline_ms("lease:a") == await lab.deadline_ms("max:a") == MOST


async def test_numbers_go_on_beyond_what_lua_writes_whole(lab: StateLab) -> None:
    await lab.link.call("SET", lab.keys.revision, 10**15)
    lab.view.load(10**15, [])
    who = await lab.register()
    assert who.epoch == 10**15 + 1
    assert lab.view.managers["m"].epoch == 10**15 + 1
    stored = await lab.link.call("HGET", lab.keys.manager("m"), "epoch")
    assert stored == str(10**15 + 1)
    await lab.managers.heard(who, now_ms=NOW)


async def test_an_amount_that_was_used_up_and_given_back_is_exactly_nothing(lab: StateLab) -> None:
    who = await lab.register()
    await lab.describe(who, cpus=MOST, memory=MOST, slots=3)
    await lab.elect()
    for name, amount in (("a", MOST - 7), ("b", 7)):
        await lab.submit(name)
        await lab.grant(name, lab.planned("r", cpus=amount, memory=amount))
    for name in ("a", "b"):
        [hold] = lab.view.allocations[name].holds
        await lab.allocations.release(name, [hold], token=TOKEN, now_ms=NOW)
        await lab.holds.cleaned(who, hold, lab.view.holds[hold].fence, now_ms=NOW)
    resource = lab.view.resources["r"]
    assert (resource.used_slots, resource.used_cpus, resource.used_memory) == (0, 0, 0)
