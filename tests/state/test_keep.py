"""Keeping an allocation as it is: what ends it before that is over, and what does not."""

import pytest

from hwprovisioner.heartbeat.beats import Alive, Over
from hwprovisioner.state import errors
from hwprovisioner.state.keys import Due
from hwprovisioner.state.tables import ALLOCATION, AllocationEvent, AllocationState, EndReason
from support.allocation_states import MAX_MS, STATES, allocation_in
from support.lab_promises import check_promises
from support.state_lab import NOW, TOKEN, TTL, StateLab, refused, unchanged

SPAN = 45_000
UNTIL = NOW + SPAN


async def keep(lab: StateLab, span_ms: int = SPAN, *, token: str = TOKEN, now_ms: int = NOW) -> int:
    return await lab.allocations.keep("a", span_ms, token=token, now_ms=now_ms)


async def release(lab: StateLab, *, at_once: bool = False, now_ms: int = NOW) -> int | None:
    return await lab.allocations.release("a", [], token=TOKEN, at_once=at_once, now_ms=now_ms)


async def kept(lab: StateLab) -> None:
    """Have allocation a, ready and kept for SPAN."""
    await allocation_in(lab, AllocationState.READY)
    await keep(lab)


async def expire(lab: StateLab, now_ms: int) -> EndReason | None:
    """Let its lease be looked at; return why it ended, if it did."""
    await lab.looked_after(now_ms)
    await lab.allocations.expire("a", [], now_ms=now_ms)
    return lab.view.allocations["a"].end_reason


@pytest.mark.parametrize("token", [TOKEN, "wrong"])
@pytest.mark.parametrize("state", STATES)
async def test_only_what_the_table_says_is_kept_and_only_by_its_holder(
    lab: StateLab, state: AllocationState | None, token: str
) -> None:
    await allocation_in(lab, state)
    if state is None:
        await refused(lab, keep(lab, token=token), errors.NoSuchAllocation)
    elif token != TOKEN:
        await refused(lab, keep(lab, token=token), errors.WrongToken)
    elif AllocationEvent.KEEP not in ALLOCATION[state]:
        await refused(lab, keep(lab), errors.WrongState)
    else:
        assert await keep(lab) == lab.view.revision
        assert lab.view.allocations["a"].keep_ms == UNTIL
        assert await lab.deadline_ms("lease:a") == UNTIL
        check_promises(await lab.dump(), {})


async def test_a_lease_that_is_over_is_not_kept(lab: StateLab) -> None:
    await allocation_in(lab, AllocationState.READY)
    await lab.looked_after(NOW + TTL)
    await refused(lab, keep(lab, now_ms=NOW + TTL), errors.WrongState)


@pytest.mark.parametrize("late_ms", [-1, 0])
async def test_without_heartbeats_it_ends_when_it_is_kept_no_longer(
    lab: StateLab, late_ms: int
) -> None:
    await kept(lab)
    ended = await expire(lab, UNTIL + late_ms)
    assert ended is (EndReason.EXPIRED if late_ms == 0 else None)


async def test_heartbeats_do_not_shorten_it_and_go_on_after_it(lab: StateLab) -> None:
    await kept(lab)
    alive = await lab.beat("a", now_ms=NOW + 1)
    assert isinstance(alive, Alive)
    assert alive.remaining_ms == SPAN - 1
    await lab.looked_after(UNTIL - 1)
    await lab.beat("a", now_ms=UNTIL - 1)
    assert await expire(lab, UNTIL) is None
    assert await lab.deadline_ms("lease:a") == UNTIL - 1 + TTL
    check_promises(await lab.dump(), {})


@pytest.mark.parametrize("late_ms", [-1, 0])
async def test_a_release_before_ends_it_punctually_whatever_heartbeats_say(
    lab: StateLab, late_ms: int
) -> None:
    await kept(lab)
    assert await release(lab, now_ms=NOW + 1) == lab.view.revision
    assert lab.reply[0] == "KEPT"
    assert lab.view.allocations["a"].state is AllocationState.READY
    await lab.looked_after(UNTIL - 1)
    assert isinstance(await lab.beat("a", now_ms=UNTIL - 1), Alive)
    assert await lab.deadline_ms("lease:a") == UNTIL
    check_promises(await lab.dump(), {})
    ended = await expire(lab, UNTIL + late_ms)
    assert ended is (EndReason.RELEASED if late_ms == 0 else None)


async def test_a_heartbeat_that_comes_after_that_hears_that_it_was_released(lab: StateLab) -> None:
    await kept(lab)
    await release(lab)
    await lab.looked_after(UNTIL)
    over = await lab.beat("a", now_ms=UNTIL)
    assert over == Over("RELEASED", "by its holder; it was kept until now")


async def test_a_release_at_once_ends_it_now(lab: StateLab) -> None:
    await kept(lab)
    await release(lab, at_once=True)
    assert lab.view.allocations["a"].end_reason is EndReason.RELEASED


async def test_a_release_after_it_is_a_release_as_any(lab: StateLab) -> None:
    await kept(lab)
    await lab.looked_after(UNTIL - 1)
    await lab.beat("a", now_ms=UNTIL - 1)
    await release(lab, now_ms=UNTIL)
    assert lab.view.allocations["a"].end_reason is EndReason.RELEASED


@pytest.mark.parametrize("released", [False, True])
async def test_it_is_kept_no_longer_when_its_holder_says_so(lab: StateLab, released: bool) -> None:
    await kept(lab)
    if released:
        await release(lab)
    await keep(lab, 0, now_ms=NOW + 5)
    assert await lab.deadline_ms("lease:a") == NOW + 5 + (0 if released else TTL)
    check_promises(await lab.dump(), {})
    if released:
        assert await expire(lab, NOW + 5) is EndReason.RELEASED
    else:
        assert lab.view.allocations["a"].keep_ms == 0


async def test_it_is_kept_until_its_maximum_duration_at_the_longest(lab: StateLab) -> None:
    await allocation_in(lab, AllocationState.READY)
    await keep(lab, MAX_MS + 1)
    assert lab.view.allocations["a"].keep_ms == NOW + MAX_MS


async def test_what_ends_it_otherwise_ends_it_all_the_same(lab: StateLab) -> None:
    await kept(lab)
    await lab.allocations.preempt("a", "b", grace_ms=10, epoch=lab.epoch, now_ms=NOW)
    await lab.drain("r", deadline_ms=NOW + 10)
    early = lab.allocations.end("a", [], EndReason.REVOKED, "", due=Due.REVOKE, now_ms=NOW + 9)
    assert await unchanged(lab, early) is None
    await lab.allocations.end("a", [], EndReason.REVOKED, "", due=Due.REVOKE, now_ms=NOW + 10)
    assert lab.view.allocations["a"].end_reason is EndReason.REVOKED
    check_promises(await lab.dump(), {})


@pytest.mark.parametrize("released", [False, True])
async def test_after_an_outage_it_is_kept_as_long_as_was_said_at_least(
    lab: StateLab, released: bool
) -> None:
    await kept(lab)
    if released:
        await release(lab)
    back = UNTIL - 1_000
    paused = await lab.paused(back)
    await lab.care.restore(paused, back_ms=60_000, now_ms=back)
    assert await lab.deadline_ms("lease:a") == (UNTIL if released else back + TTL)
