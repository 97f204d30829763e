"""What is due is told to the ms, what comes next too; a heartbeat that was taken before wins."""

import asyncio

import pytest

from hwprovisioner.heartbeat.beats import Alive, Over
from hwprovisioner.state.care import Tended
from hwprovisioner.state.keys import Due
from hwprovisioner.state.tables import AllocationState
from support.state_lab import NOW, TTL, StateLab


async def test_tending_tells_what_is_due_and_what_is_next(lab: StateLab) -> None:
    assert await lab.tend() == Tended(NOW, (), (), NOW)
    await lab.submit("a", wait_ms=500)
    await lab.submit("b", ttl_ms=1_000, wait_ms=300)
    await lab.register("m:n")
    waits = ((Due.WAIT, "b", NOW + 300), (Due.WAIT, "a", NOW + 500))
    assert await lab.tend(NOW + 299) == Tended(NOW + 299, (), waits[:1], NOW + 299)
    ahead = await lab.care.tend(ahead=3, now_ms=NOW + 299)
    coming = (*waits, (Due.LEASE, "b", NOW + 1_000))
    assert ahead == Tended(NOW + 299, (), coming, NOW + 299)
    due = ((Due.WAIT, "b"), (Due.WAIT, "a"))
    next_one = ((Due.LEASE, "b", NOW + 1_000),)
    assert await lab.tend(NOW + 501) == Tended(NOW + 501, due, next_one, NOW + 501)
    limited = await lab.care.tend(1, now_ms=NOW + 501)
    assert limited == Tended(NOW + 501, due[:1], next_one, NOW + 501)


async def test_a_lease_is_due_in_the_ms_in_which_redis_lets_its_alarm_expire(lab: StateLab) -> None:
    await lab.tend()
    await lab.submit("a")
    await lab.looked_after(NOW + TTL)
    at_its_end = await lab.tend(NOW + TTL)
    assert (at_its_end.due, at_its_end.coming) == ((), ((Due.LEASE, "a", NOW + TTL),))
    assert (await lab.tend(NOW + TTL + 1)).due == ((Due.LEASE, "a"),)


async def test_names_with_colons_come_back_whole_from_what_is_due(lab: StateLab) -> None:
    await lab.tend()
    await lab.register("m:n")
    await lab.looked_after(NOW + lab.limits.silence_ms)
    assert (await lab.tend(NOW + lab.limits.silence_ms + 1)).due == ((Due.MANAGER, "m:n"),)


async def test_a_thousand_things_that_are_due_are_told_at_once(lab: StateLab) -> None:
    await lab.tend()
    await asyncio.gather(*(lab.submit(f"a{i}", ttl_ms=1) for i in range(1_100)))
    tended = await lab.tend(NOW + 2)
    assert len(tended.due) == 1_000


@pytest.mark.parametrize("left_ms", [1, 0, -1])
@pytest.mark.parametrize("beat_first", [True, False])
async def test_a_beat_that_was_taken_wins_and_a_late_one_changes_nothing(
    lab: StateLab, left_ms: int, beat_first: bool
) -> None:
    await lab.tend()
    await lab.submit("a")
    now_ms = NOW + TTL - left_ms
    await lab.looked_after(now_ms)
    if beat_first:
        outcome = await lab.beat("a", now_ms=now_ms)
        expired = await lab.allocations.expire("a", [], now_ms=now_ms)
    else:
        expired = await lab.allocations.expire("a", [], now_ms=now_ms)
        outcome = await lab.beat("a", now_ms=now_ms)
    assert isinstance(outcome, Alive if left_ms > 0 else Over)
    assert (expired is None) is (left_ms > 0)
    state = lab.view.allocations["a"].state
    assert (state is AllocationState.ENDED) is (left_ms <= 0)


async def test_a_stale_expiry_finds_the_lease_extended(lab: StateLab) -> None:
    await lab.tend()
    await lab.submit("a")
    await lab.looked_after(NOW + TTL)
    assert (await lab.tend(NOW + TTL + 1)).due == ((Due.LEASE, "a"),)
    await lab.submit("b")
    assert isinstance(await lab.beat("b", now_ms=NOW + TTL - 1), Alive)
    assert await lab.allocations.expire("b", [], now_ms=NOW + TTL) is None
    assert await lab.allocations.expire("a", [], now_ms=NOW + TTL) is not None
