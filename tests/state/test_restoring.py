"""Leases are paused when nobody cared for them, and what was due gets its time again."""

import asyncio

import pytest

from hwprovisioner.heartbeat.beats import Alive
from hwprovisioner.state.care import Paused, Tended
from hwprovisioner.state.keys import Due
from support.state_lab import NOW, TTL, StateLab, unchanged

HOUR = 3_600_000
BACK = 60_000


async def lease_ms(lab: StateLab, name: str) -> int | None:
    return await lab.deadline_ms(f"lease:{name}")


@pytest.mark.parametrize("gap_ms", [2_001, HOUR, -2_001, -HOUR])
async def test_leases_are_paused_after_nobody_cared_or_the_clock_was_set(
    lab: StateLab, gap_ms: int
) -> None:
    await lab.tend()
    await lab.submit("a")
    assert await lab.paused(NOW + gap_ms) == Paused(str(NOW), NOW + gap_ms)
    assert await lab.deadline_ms("lease:a") == NOW + TTL


@pytest.mark.parametrize("gap_ms", [2_000, 1, 0, -2_000])
async def test_short_gaps_pause_nothing(lab: StateLab, gap_ms: int) -> None:
    await lab.tend()
    assert isinstance(await lab.care.tend(now_ms=NOW + gap_ms), Tended)


@pytest.mark.parametrize("gap_ms", [HOUR, -HOUR])
@pytest.mark.parametrize("count", [0, 1, 5, 6, 7])
async def test_every_lease_gets_its_full_length_again_in_chunks(
    lab: StateLab, gap_ms: int, count: int
) -> None:
    await lab.tend()
    for index in range(count):
        await lab.submit(f"a{index}", ttl_ms=TTL + index)
    back = NOW + gap_ms
    paused = await lab.paused(back)
    assert await lab.care.restore(paused, back_ms=BACK, chunk=3, now_ms=back) == count
    dump = await lab.dump()
    for index in range(count):
        assert await lease_ms(lab, f"a{index}") == back + TTL + index
        assert abs(dump[f"alarm:a{index}"] - (back + TTL + index) / 1000) <= 1
    first = ((Due.LEASE, "a0", back + TTL),) if count else ()
    assert await lab.care.tend(now_ms=back) == Tended(
        back, (), first, NOW + max(0, min(gap_ms, 2_000))
    )


async def test_what_has_ended_is_not_restored(lab: StateLab) -> None:
    await lab.tend()
    await lab.submit("a")
    await lab.allocations.release("a", [], token="the-token", now_ms=NOW)
    paused = await lab.paused(NOW + HOUR)
    assert await lab.care.restore(paused, back_ms=BACK, now_ms=NOW + HOUR) == 0
    assert await lease_ms(lab, "a") is None
    assert "alarm:a" not in await lab.dump()


async def test_what_ended_before_an_outage_is_remembered_after_it(lab: StateLab) -> None:
    """Its waiter may not have been told; so too if the clock was set while nobody could see it."""
    await lab.tend()
    await lab.submit("a")
    await lab.allocations.release("a", [], token="the-token", now_ms=NOW)
    due = await lab.deadline_ms("forget:a")
    assert due is not None
    for back in (NOW + 5_000, due + HOUR):
        await lab.care.restore(await lab.paused(back), back_ms=BACK, now_ms=back)
        assert await lab.deadline_ms("forget:a") == max(due, back + BACK)
    assert (await lab.tend(due + HOUR + 100)).due == ()


async def test_managers_get_time_to_come_back_but_never_less_than_they_had(lab: StateLab) -> None:
    await lab.tend()
    await lab.register("m")
    await lab.register("away", now_ms=NOW + HOUR)
    await lab.register("lost")
    await lab.managers.disconnect("lost", now_ms=NOW + lab.limits.silence_ms)
    late = NOW + lab.limits.silence_ms + lab.limits.lost_ms
    await lab.managers.lose("lost", now_ms=late)
    await lab.managers.settle("lost", now_ms=late)
    back = NOW + 100_000
    await lab.care.restore(await lab.paused(back), back_ms=BACK, now_ms=back)
    assert await lab.deadline_ms("manager:m") == back + BACK
    assert await lab.deadline_ms("manager:away") == NOW + HOUR + lab.limits.silence_ms
    assert await lab.deadline_ms("manager:lost") is None


async def test_offers_and_waits_that_nobody_could_answer_get_time_too(lab: StateLab) -> None:
    await lab.tend()
    await lab.describe(await lab.register())
    await lab.elect()
    await lab.submit("a", max_ms=TTL)
    await lab.grant("a")
    await lab.submit("b", wait_ms=10_000)
    back = NOW + HOUR
    await lab.care.restore(await lab.paused(back), back_ms=BACK, now_ms=back)
    for member in ("offer:r.1", "wait:b", "max:a"):
        assert await lab.deadline_ms(member) == back + BACK, member
    assert (await lab.tend(back)).due == ()


async def test_nothing_expires_while_leases_are_paused_but_beats_are_taken(lab: StateLab) -> None:
    await lab.tend()
    await lab.submit("a")
    await lab.submit("b")
    late = NOW + HOUR
    assert await unchanged(lab, lab.allocations.expire("a", [], now_ms=late)) is None
    assert lab.reply == ["PAUSED"]
    assert isinstance(await lab.beat("b", now_ms=late), Alive)
    paused = await lab.paused(late + 5)
    await lab.care.restore(paused, back_ms=BACK, now_ms=late + 5)
    assert await lab.allocations.expire("a", [], now_ms=late + 5) is None
    assert lab.reply == ["EARLY"]


async def test_two_replicas_that_restore_at_once_restore_everything_once(lab: StateLab) -> None:
    await lab.tend()
    for index in range(10):
        await lab.submit(f"a{index}")
    back = NOW + HOUR
    other = StateLab(lab.link)
    first, second = await lab.paused(back), await other.paused(back)
    counts = await asyncio.gather(
        lab.care.restore(first, back_ms=BACK, chunk=2, now_ms=back),
        other.care.restore(second, back_ms=BACK, chunk=2, now_ms=back + 1),
    )
    assert max(counts) == 10
    assert {await lease_ms(lab, f"a{i}") for i in range(10)} <= {back + TTL, back + 1 + TTL}
    assert isinstance(await lab.care.tend(now_ms=back + 1), Tended)


async def test_a_restore_that_comes_after_another_does_nothing(lab: StateLab) -> None:
    await lab.tend()
    await lab.submit("a")
    back = NOW + HOUR
    paused = await lab.paused(back)
    await lab.care.restore(paused, back_ms=BACK, now_ms=back)
    again = lab.care.restore(paused, back_ms=BACK, now_ms=back + 10_000)
    assert await unchanged(lab, again) == 0
    assert lab.reply == ["DONE"]
