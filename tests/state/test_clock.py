"""Deadlines, when the clock of Redis was set."""

import pytest

from hwprovisioner.state.care import Paused
from support.state_lab import NOW, TTL, StateLab, unchanged

HOUR = 3_600_000
BACK = 60_000


async def paused_at(lab: StateLab, now_ms: int) -> Paused:
    outcome = await lab.care.tend(now_ms=now_ms)
    assert isinstance(outcome, Paused)
    return outcome


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
    paused = await paused_at(lab, now_ms)
    assert await lab.care.shift(paused, step_ms, ["max:c"], now_ms=now_ms) == len(before) - 3
    after = (await lab.dump())["deadlines"]
    moved = {member: score - before[member] for member, score in after.items()}
    assert {member for member, by in moved.items() if by == 0} == {"begin:c", "max:c", "revoke:a"}
    assert set(moved.values()) == {0, step_ms}
    assert await unchanged(lab, lab.care.shift(paused, step_ms, [], now_ms=now_ms)) == 0
    again = await paused_at(lab, now_ms)
    assert again.last_ms == 0
    assert await lab.care.restore(again, back_ms=BACK, now_ms=now_ms) == 2
    assert await lab.deadline_ms("lease:b") == now_ms + TTL


async def test_what_was_set_by_a_clock_that_had_been_set_back_stays(lab: StateLab) -> None:
    await lab.tend()
    now_ms = NOW - HOUR
    await lab.submit("a", wait_ms=10_000, now_ms=now_ms)
    wait = await lab.deadline_ms("wait:a")
    paused = await paused_at(lab, now_ms + 1_000)
    assert await lab.care.shift(paused, -HOUR, [], now_ms=now_ms + 1_000) == 0
    assert await lab.deadline_ms("wait:a") == wait
