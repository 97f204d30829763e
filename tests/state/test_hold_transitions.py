"""What managers say about holds: every message in every state, from the tables."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

from hwprovisioner.state import errors
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.model import Hold
from hwprovisioner.state.tables import HOLD, HoldEvent, HoldState
from support.state_lab import NOW, TOKEN, StateLab

MESSAGES = (HoldEvent.ACCEPT, HoldEvent.READY, HoldEvent.DECLINE, HoldEvent.FAIL, HoldEvent.CLEANED)
WORDS = {
    HoldEvent.ACCEPT: "ACCEPTED",
    HoldEvent.READY: "READY",
    HoldEvent.DECLINE: "DECLINED",
    HoldEvent.FAIL: "FAILED",
    HoldEvent.CLEANED: "CLEANED",
}
ALIVE = [state for state in HoldState if state is not HoldState.GONE]
LATER = NOW + 1_000

Say: TypeAlias = Callable[[StateLab, Speaker | None, Hold, int], Awaitable[None]]


async def accept(lab: StateLab, who: Speaker | None, hold: Hold, fence: int) -> None:
    assert who
    await lab.holds.accept(who, hold.id, fence, now_ms=LATER)


async def ready(lab: StateLab, who: Speaker | None, hold: Hold, fence: int) -> None:
    assert who
    await lab.holds.ready(who, hold, fence, '{"address": "10.0.0.1"}', now_ms=LATER)


async def decline(lab: StateLab, who: Speaker | None, hold: Hold, fence: int) -> None:
    assert who
    siblings = lab.view.allocations[hold.allocation].holds
    await lab.holds.decline(who, hold, fence, siblings, "busy", 5_000, now_ms=LATER)


async def fail(lab: StateLab, who: Speaker | None, hold: Hold, fence: int) -> None:
    siblings = lab.view.allocations[hold.allocation].holds
    await lab.holds.fail(who, hold, fence, siblings, "smoke", now_ms=LATER)


async def cleaned(lab: StateLab, who: Speaker | None, hold: Hold, fence: int) -> None:
    assert who
    await lab.holds.cleaned(who, hold.id, fence, now_ms=LATER)


async def progress(lab: StateLab, who: Speaker | None, hold: Hold, fence: int) -> None:
    assert who
    await lab.holds.progress(who, hold.id, fence, "half way", now_ms=LATER)


SAY: dict[str, Say] = {
    "accept": accept,
    "ready": ready,
    "decline": decline,
    "fail": fail,
    "cleaned": cleaned,
    "progress": progress,
}


async def hold_in(lab: StateLab, state: HoldState) -> tuple[Speaker, Hold]:
    """Bring a hold of an allocation of one host into a state; return it as it was last."""
    who = await lab.register()
    await lab.describe(who)
    await lab.elect()
    await lab.submit(max_ms=60_000, wait_ms=60_000)
    [hold] = await lab.grant("a")
    if state is HoldState.OFFERED:
        return who, hold
    await lab.holds.accept(who, hold.id, hold.fence, now_ms=NOW)
    if state is HoldState.PREPARING:
        return who, lab.view.holds[hold.id]
    await lab.holds.ready(who, hold, hold.fence, "{}", now_ms=NOW)
    if state is HoldState.READY:
        return who, lab.view.holds[hold.id]
    await lab.allocations.release("a", [hold.id], token="the-token", now_ms=NOW)
    cleaning = lab.view.holds[hold.id]
    if state is HoldState.GONE:
        await lab.holds.cleaned(who, hold.id, cleaning.fence, now_ms=NOW)
    return who, cleaning


async def refused(lab: StateLab, saying: Awaitable[None], error: type[Exception] | None) -> Any:
    """Expect a refusal that changes nothing at all; return the script's reply."""
    before = await lab.dump()
    if error is None:
        await saying
    else:
        with pytest.raises(error):
            await saying
    assert await lab.dump() == before
    return lab.reply


@pytest.mark.parametrize("state", HoldState)
@pytest.mark.parametrize("event", MESSAGES)
async def test_a_message_moves_a_hold_as_the_table_says_or_changes_nothing(
    lab: StateLab, state: HoldState, event: HoldEvent
) -> None:
    who, hold = await hold_in(lab, state)
    assert state is HoldState.GONE or hold.state is state
    saying = SAY[event](lab, who, hold, hold.fence)
    target = HOLD[state].get(event)
    if state is HoldState.GONE:
        # A hold that is gone was cleaned: to say so again is fine.
        error = None if event is HoldEvent.CLEANED else errors.NoSuchHold
        assert await refused(lab, saying, error) == ["NO_SUCH_HOLD"]
    elif target is None:
        assert await refused(lab, saying, errors.WrongState) == ["WRONG_STATE", state]
    elif target is state:
        assert await refused(lab, saying, None) == ["SAME"]
    else:
        revision = lab.view.revision
        await saying
        assert lab.reply[:4] == [WORDS[event], revision + 1, LATER, event]
        after = lab.view.holds.get(hold.id)
        assert (after.state if after else HoldState.GONE) is target


async def test_what_is_ready_without_acceptance_owes_no_answer_to_its_offer(lab: StateLab) -> None:
    who, hold = await hold_in(lab, HoldState.OFFERED)
    assert f"offer:{hold.id}" in (await lab.dump())["deadlines"]
    await ready(lab, who, hold, hold.fence)
    assert f"offer:{hold.id}" not in (await lab.dump())["deadlines"]
    await accept(lab, who, hold, hold.fence)
    assert lab.reply == ["SAME"]


@pytest.mark.parametrize("state", ALIVE)
@pytest.mark.parametrize("message", SAY)
@pytest.mark.parametrize("off_by", [-1, 1])
async def test_a_stale_fence_is_refused_in_every_state(
    lab: StateLab, state: HoldState, message: str, off_by: int
) -> None:
    who, hold = await hold_in(lab, state)
    saying = SAY[message](lab, who, hold, hold.fence + off_by)
    reply = await refused(lab, saying, errors.StaleFence)
    assert reply == ["STALE_FENCE", str(hold.fence)]


@pytest.mark.parametrize("state", HoldState)
@pytest.mark.parametrize("message", SAY)
@pytest.mark.parametrize("fence_off_by", [0, 1])
async def test_an_old_registration_is_refused_in_every_state_whatever_the_fence(
    lab: StateLab, state: HoldState, message: str, fence_off_by: int
) -> None:
    who, hold = await hold_in(lab, state)
    await lab.register(who.manager_id)
    saying = SAY[message](lab, who, hold, hold.fence + fence_off_by)
    assert await refused(lab, saying, errors.Superseded) == ["SUPERSEDED"]


@pytest.mark.parametrize("message", SAY)
@pytest.mark.parametrize("lost", ["everything", "the last registration"])
async def test_a_registration_that_redis_has_lost_is_not_superseded(
    lab: StateLab, message: str, lost: str
) -> None:
    who, hold = await hold_in(lab, HoldState.READY)
    if lost == "everything":
        await lab.link.call("FLUSHDB")
    else:
        who = Speaker(who.manager_id, who.epoch + 1)
    saying = SAY[message](lab, who, hold, hold.fence)
    with pytest.raises(errors.Forgotten):
        await saying


@pytest.mark.parametrize("state", ALIVE)
@pytest.mark.parametrize("message", SAY)
async def test_a_hold_of_another_manager_does_not_exist_for_this_one(
    lab: StateLab, state: HoldState, message: str
) -> None:
    _, hold = await hold_in(lab, state)
    other = await lab.register("other")
    error = None if message == "cleaned" else errors.NoSuchHold
    saying = SAY[message](lab, other, hold, hold.fence)
    assert await refused(lab, saying, error) == ["NO_SUCH_HOLD"]


@pytest.mark.parametrize("state", ALIVE)
async def test_progress_is_noted_in_every_state(lab: StateLab, state: HoldState) -> None:
    who, hold = await hold_in(lab, state)
    await progress(lab, who, hold, hold.fence)
    assert lab.reply[0] == "NOTED"
    assert lab.view.holds[hold.id].progress == "half way"
    assert lab.view.holds[hold.id].state is state


async def test_progress_of_a_hold_that_is_gone_is_refused(lab: StateLab) -> None:
    who, hold = await hold_in(lab, HoldState.GONE)
    saying = progress(lab, who, hold, hold.fence)
    assert await refused(lab, saying, errors.NoSuchHold) == ["NO_SUCH_HOLD"]


@pytest.mark.parametrize("state", HoldState)
@pytest.mark.parametrize("left_ms", [1, 0, -1])
async def test_the_lab_takes_an_offer_back_exactly_when_it_is_due_and_not_accepted(
    lab: StateLab, state: HoldState, left_ms: int
) -> None:
    _, hold = await hold_in(lab, state)
    siblings = lab.view.allocations["a"].holds
    now_ms = NOW + lab.limits.offer_ms - left_ms
    before = await lab.dump()
    await lab.holds.fail(None, hold, hold.fence, siblings, "no answer", now_ms=now_ms)
    if state is HoldState.OFFERED and left_ms <= 0:
        assert lab.reply[0] == "FAILED"
        assert lab.view.holds[hold.id].state is HoldState.CLEANING
        return
    assert await lab.dump() == before
    if state is HoldState.GONE:
        assert lab.reply == ["NO_SUCH_HOLD"]
    elif state is HoldState.CLEANING:
        assert lab.reply == ["WRONG_STATE", "CLEANING"]
    else:
        assert lab.reply == ["EARLY"]


async def test_the_lab_takes_no_offer_back_that_was_renewed(lab: StateLab) -> None:
    _, hold = await hold_in(lab, HoldState.OFFERED)
    before = await lab.dump()
    late = NOW + lab.limits.offer_ms
    await lab.holds.fail(None, hold, hold.fence - 1, [hold.id], "no answer", now_ms=late)
    assert lab.reply == ["STALE_FENCE", str(hold.fence)]
    assert await lab.dump() == before


@pytest.mark.parametrize("state", [HoldState.OFFERED, HoldState.PREPARING, HoldState.READY])
async def test_of_a_hold_that_ends_it_is_known_whether_its_manager_had_accepted_it(
    lab: StateLab, state: HoldState
) -> None:
    _, hold = await hold_in(lab, state)
    await lab.allocations.release("a", [hold.id], token=TOKEN, now_ms=LATER)
    ended = lab.view.holds[hold.id]
    assert (ended.state, ended.begun) == (HoldState.CLEANING, state is not HoldState.OFFERED)


@pytest.mark.parametrize("message", ["decline", "fail"])
async def test_whoever_names_the_wrong_siblings_is_told_the_right_ones(
    lab: StateLab, message: str
) -> None:
    who, hold = await hold_in(lab, HoldState.OFFERED)
    lab.checked.calls.clear()
    if message == "decline":
        await lab.holds.decline(who, hold, hold.fence, ["x.1", "y.2"], "busy", 0, now_ms=NOW)
    else:
        await lab.holds.fail(who, hold, hold.fence, [], "smoke", now_ms=NOW)
    assert lab.checked.calls == [message, message]
    assert lab.view.allocations["a"].holds == ()
