"""Giving way to another: told in time, taken back, and done when the grace is over."""

import pytest

from hwprovisioner.heartbeat.beats import Alive
from hwprovisioner.state.allocations import Deposed
from hwprovisioner.state.keys import Due
from hwprovisioner.state.tables import ALLOCATION, AllocationEvent, AllocationState, EndReason
from support.allocation_states import MAX_MS, STATES, allocation_in
from support.lab_promises import check_promises
from support.state_lab import NOW, TOKEN, TTL, StateLab, refused, unchanged

GRACE = 20_000
GRANTED = [AllocationState.PREPARING, AllocationState.READY]


async def warn(lab: StateLab, for_id: str = "b", now_ms: int = NOW) -> int | None:
    return await lab.allocations.preempt(
        "a", for_id, grace_ms=GRACE, epoch=lab.epoch, now_ms=now_ms
    )


@pytest.mark.parametrize("epoch_off_by", [0, -1, 1])
@pytest.mark.parametrize("state", STATES)
async def test_only_what_is_granted_gives_way_and_only_for_whoever_is_elected(
    lab: StateLab, state: AllocationState | None, epoch_off_by: int
) -> None:
    await allocation_in(lab, state)
    epoch = lab.epoch + epoch_off_by
    warning = lab.allocations.preempt("a", "b", grace_ms=GRACE, epoch=epoch, now_ms=NOW)
    if epoch_off_by:
        await refused(lab, warning, Deposed)
    elif state is None or AllocationEvent.PREEMPT not in ALLOCATION[state]:
        assert await unchanged(lab, warning) is None
        assert lab.reply == ["WRONG_STATE", state]
    else:
        assert await warning == lab.view.revision
        allocation = lab.view.allocations["a"]
        assert allocation.state is state
        assert (allocation.preempt_ms, allocation.preempted_for) == (NOW + GRACE, "b")
        assert await lab.deadline_ms("preempt:a") == NOW + GRACE


def test_the_table_lets_give_way_what_has_hosts() -> None:
    assert [s for s, row in ALLOCATION.items() if AllocationEvent.PREEMPT in row] == GRANTED


@pytest.mark.parametrize("for_id", ["b", "c"])
async def test_whoever_gives_way_is_told_so_once(lab: StateLab, for_id: str) -> None:
    await allocation_in(lab, AllocationState.READY)
    await warn(lab)
    assert await unchanged(lab, warn(lab, for_id, NOW + 1)) is None
    assert lab.reply == ["SAME"]


async def test_beats_tell_what_is_left_of_the_grace_and_do_not_extend_it(lab: StateLab) -> None:
    await allocation_in(lab, AllocationState.READY)
    await warn(lab)
    alive = await lab.beat("a", now_ms=NOW + 5_000)
    assert alive == Alive(TTL, TTL, "READY", MAX_MS - 5_000, (), GRACE - 5_000)
    assert await lab.deadline_ms("preempt:a") == NOW + GRACE
    await lab.looked_after(NOW + GRACE + 1)
    alive = await lab.beat("a", now_ms=NOW + GRACE + 1)
    assert isinstance(alive, Alive)
    assert alive.preempt_left_ms == 0


@pytest.mark.parametrize("late_ms", [-1, 0, 1])
async def test_it_ends_when_its_grace_is_over(lab: StateLab, late_ms: int) -> None:
    holds = await allocation_in(lab, AllocationState.READY)
    await warn(lab)
    ending = lab.allocations.end(
        "a", holds, EndReason.PREEMPTED, "", due=Due.PREEMPT, now_ms=NOW + GRACE + late_ms
    )
    if late_ms < 0:
        assert await unchanged(lab, ending) is None
        assert lab.reply == ["EARLY"]
    else:
        assert await ending == lab.view.revision
        assert lab.view.allocations["a"].end_reason is EndReason.PREEMPTED
        assert await lab.deadline_ms("preempt:a") is None


@pytest.mark.parametrize("warned", [True, False])
@pytest.mark.parametrize("epoch_off_by", [0, -1, 1])
@pytest.mark.parametrize("state", STATES)
async def test_only_what_gives_way_is_spared_and_only_by_whoever_is_elected(
    lab: StateLab, state: AllocationState | None, epoch_off_by: int, warned: bool
) -> None:
    await allocation_in(lab, state)
    if warned:
        await warn(lab)
    sparing = lab.allocations.spare("a", epoch=lab.epoch + epoch_off_by, now_ms=NOW)
    if epoch_off_by:
        await refused(lab, sparing, Deposed)
    elif not warned or state not in GRANTED:
        assert await unchanged(lab, sparing) is None
        assert lab.reply == ["SAME"]
    else:
        assert await sparing == lab.view.revision
        allocation = lab.view.allocations["a"]
        assert (allocation.preempt_ms, allocation.preempted_for) == (0, "")
        assert await lab.deadline_ms("preempt:a") is None
        assert await warn(lab) is not None, "it may give way again"


async def test_what_has_ended_by_itself_keeps_saying_for_whom(lab: StateLab) -> None:
    holds = await allocation_in(lab, AllocationState.READY)
    await warn(lab)
    await lab.allocations.release("a", holds, token=TOKEN, now_ms=NOW)
    assert lab.view.allocations["a"].preempted_for == "b"
    sparing = lab.allocations.spare("a", epoch=lab.epoch, now_ms=NOW)
    assert await unchanged(lab, sparing) is None
    check_promises(await lab.dump(), {})


@pytest.mark.parametrize("how", ["fail", "decline"])
async def test_what_goes_back_to_the_queue_has_nothing_left_to_give_way_with(
    lab: StateLab, how: str
) -> None:
    who = await lab.register()
    await lab.describe(who)
    await lab.elect()
    await lab.submit()
    [hold] = await lab.grant("a")
    await warn(lab)
    if how == "fail":
        await lab.holds.fail(who, hold, 1, [hold.id], "smoke", now_ms=NOW)
    else:
        await lab.holds.decline(who, hold, 1, [hold.id], "busy", 5, now_ms=NOW)
    allocation = lab.view.allocations["a"]
    assert (allocation.state, allocation.preempt_ms) == (AllocationState.QUEUED, 0)
    assert allocation.preempted_for == ""
    assert await lab.deadline_ms("preempt:a") is None


async def test_after_an_outage_holders_have_time_to_hear_of_it(lab: StateLab) -> None:
    await allocation_in(lab, AllocationState.READY)
    await warn(lab)
    back = NOW + 3_600_000
    paused = await lab.paused(back)
    await lab.care.restore(paused, back_ms=60_000, now_ms=back)
    assert await lab.deadline_ms("preempt:a") == back + 60_000
    alive = await lab.beat("a", now_ms=back)
    assert isinstance(alive, Alive)
    assert alive.preempt_left_ms == 60_000
