"""Deadlines, when the clock of Redis was set."""

import pytest

from support.state_lab import NOW, TOKEN, TTL, StateLab, unchanged

HOUR = 3_600_000
BACK = 60_000


@pytest.mark.parametrize("step_ms", [HOUR, -HOUR])
async def test_deadlines_follow_a_clock_that_was_set_but_not_what_people_chose(
    lab: StateLab, step_ms: int
) -> None:
    await lab.tend()
    await lab.describe(await lab.register())
    await lab.elect()
    await lab.submit("a", max_ms=TTL)
    await lab.grant("a")
    await lab.submit("b", wait_ms=10_000)
    for member in ("begin:c", "max:c", "revoke:a"):
        await lab.link.call("ZADD", lab.keys.deadlines, NOW + 1_000, member)
    before = {member: int(score) for member, score in (await lab.dump())["deadlines"].items()}
    now_ms = NOW + step_ms
    paused = await lab.paused(now_ms)
    assert await lab.care.shift(paused, step_ms, ["max:c"], now_ms=now_ms) == len(before) - 3
    after = (await lab.dump())["deadlines"]
    moved = {member: score - before[member] for member, score in after.items()}
    assert {member for member, by in moved.items() if by == 0} == {"begin:c", "max:c", "revoke:a"}
    assert set(moved.values()) == {0, step_ms}
    assert await unchanged(lab, lab.care.shift(paused, step_ms, [], now_ms=now_ms)) == 0
    again = await lab.paused(now_ms)
    assert again.last_ms == 0
    assert await lab.care.restore(again, back_ms=BACK, now_ms=now_ms) == 2
    assert await lab.deadline_ms("lease:b") == now_ms + TTL


async def test_what_was_set_by_a_clock_that_had_been_set_back_stays(lab: StateLab) -> None:
    await lab.tend()
    now_ms = NOW - HOUR
    await lab.submit("a", wait_ms=10_000, now_ms=now_ms)
    wait = await lab.deadline_ms("wait:a")
    paused = await lab.paused(now_ms + 1_000)
    assert await lab.care.shift(paused, -HOUR, [], now_ms=now_ms + 1_000) == 0
    assert await lab.deadline_ms("wait:a") == wait


@pytest.mark.parametrize("step_ms", [HOUR, -HOUR])
async def test_what_records_say_of_ends_follows_a_clock_that_was_set(
    lab: StateLab, step_ms: int
) -> None:
    await lab.tend()
    who = await lab.register()
    await lab.describe(who, slots=2)
    await lab.elect()
    for name in ("kept", "warned"):
        await lab.submit(name)
        [hold] = await lab.grant(name)
        await lab.holds.accept(who, hold.id, hold.fence, now_ms=NOW)
        await lab.holds.ready(who, hold, hold.fence, "{}", now_ms=NOW)
    await lab.allocations.keep("kept", 60_000, token=TOKEN, now_ms=NOW)
    await lab.allocations.preempt("warned", "x", grace_ms=50_000, epoch=lab.epoch, now_ms=NOW)
    now_ms = NOW + step_ms
    paused = await lab.paused(now_ms)
    assert await lab.care.shift(paused, step_ms, [], ["kept", "warned"], now_ms=now_ms)
    kept, warned = (lab.view.allocations[name] for name in ("kept", "warned"))
    assert (kept.keep_ms, kept.preempt_ms) == (now_ms + 60_000, 0)
    assert (warned.keep_ms, warned.preempt_ms) == (0, now_ms + 50_000)
    assert await lab.deadline_ms("preempt:warned") == now_ms + 50_000
    await lab.care.restore(await lab.paused(now_ms), back_ms=BACK, now_ms=now_ms)
    assert await lab.deadline_ms("lease:kept") == now_ms + 60_000
    await lab.beat("kept", now_ms=now_ms + 40_000)
    assert await lab.deadline_ms("lease:kept") == now_ms + 40_000 + TTL
    assert await lab.allocations.release("kept", [], token=TOKEN, now_ms=now_ms + 59_999)
    assert await lab.deadline_ms("lease:kept") == now_ms + 60_000


async def test_an_end_that_was_set_by_a_clock_set_back_stays(lab: StateLab) -> None:
    await lab.tend()
    who = await lab.register()
    await lab.describe(who)
    await lab.elect()
    await lab.submit()
    await lab.grant("a")
    now_ms = NOW - HOUR
    await lab.allocations.preempt("a", "x", grace_ms=5_000, epoch=lab.epoch, now_ms=now_ms)
    paused = await lab.paused(now_ms)
    await lab.care.shift(paused, -HOUR, [], ["a"], now_ms=now_ms)
    assert lab.view.allocations["a"].preempt_ms == now_ms + 5_000
