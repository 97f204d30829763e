"""What happens to allocations: every script in every state, with right and wrong tokens."""

import pytest

from hwprovisioner.heartbeat.beats import Alive, Over, Unknown, WrongToken
from hwprovisioner.state import errors
from hwprovisioner.state.allocations import Deposed, GrantRefused
from hwprovisioner.state.keys import Due
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.tables import ALLOCATION, AllocationEvent, AllocationState, EndReason
from support.allocation_states import MAX_MS, STATES, WAIT_MS, allocation_in
from support.booking import FROM
from support.state_lab import NOW, TOKEN, TTL, StateLab, refused, unchanged


@pytest.mark.parametrize("token", [TOKEN, "another", ""])
@pytest.mark.parametrize("state", STATES)
async def test_release_ends_what_lives_for_whoever_has_the_token(
    lab: StateLab, state: AllocationState | None, token: str
) -> None:
    holds = await allocation_in(lab, state)
    releasing = lab.allocations.release("a", holds, token=token, now_ms=NOW + 1)
    if state is None:
        await refused(lab, releasing, errors.NoSuchAllocation)
        assert lab.reply == ["UNKNOWN"]
    elif token != TOKEN:
        await refused(lab, releasing, errors.WrongToken)
        assert lab.reply == ["WRONG_TOKEN"]
    elif AllocationEvent.END not in ALLOCATION[state]:
        assert await unchanged(lab, releasing) is None
        assert lab.reply == ["ENDED", "REVOKED"]
    else:
        assert await releasing == lab.view.revision
        reason = "RELEASED" if state is AllocationState.READY else "CANCELLED"
        await check_ended(lab, holds, reason)


async def check_ended(lab: StateLab, holds: list[str], reason: str) -> None:
    """Allocation a is over, everything of it is being cleaned, and only remembering it is due."""
    allocation = lab.view.allocations["a"]
    assert (allocation.state, allocation.end_reason) == ("ENDED", reason)
    assert (allocation.holds, allocation.pending) == ((), 0)
    dump = await lab.dump()
    assert "alarm:a" not in dump
    assert {m for m in dump["deadlines"] if m.endswith(":a")} == {"forget:a"}
    assert dump["deadlines"]["forget:a"] == allocation.end_ms + lab.limits.retention_ms
    for hold in holds:
        assert dump[f"hold:{hold}"]["state"] == "CLEANING"
        assert "connection" not in dump[f"hold:{hold}"]
        assert int(dump[f"hold:{hold}"]["fence"]) == int(dump["resource:r"]["fence"]) == 2
        assert dump["resource:r"]["holds"] == hold
    assert not any(member.startswith("offer:") for member in dump["deadlines"])


@pytest.mark.parametrize("due", [None, Due.WAIT, Due.MAX])
@pytest.mark.parametrize("late_ms", [-1, 0, 1])
@pytest.mark.parametrize("state", STATES)
async def test_the_lab_ends_what_lives_and_only_what_is_due(
    lab: StateLab, state: AllocationState | None, due: Due | None, late_ms: int
) -> None:
    holds = await allocation_in(lab, state)
    now_ms = NOW + (WAIT_MS if due is Due.WAIT else MAX_MS) + late_ms
    ending = lab.allocations.end(
        "a", holds, EndReason.WAIT_TIMEOUT, "detail", due=due, now_ms=now_ms
    )
    # A queued allocation has no maximum yet, a granted one waits no longer, a booked one not yet.
    has_deadline = (due is Due.WAIT) is (state is AllocationState.QUEUED)
    has_deadline = has_deadline and state is not AllocationState.BOOKED
    if state is None:
        assert await unchanged(lab, ending) is None
        assert lab.reply == ["UNKNOWN"]
    elif state is AllocationState.ENDED:
        assert await unchanged(lab, ending) is None
        assert lab.reply == ["BEFORE", "REVOKED"]
    elif due and (late_ms < 0 or not has_deadline):
        assert await unchanged(lab, ending) is None
        assert lab.reply == ["EARLY"]
    else:
        assert await ending == lab.view.revision
        assert lab.view.allocations["a"].end_detail == "detail"
        await check_ended(lab, holds, "WAIT_TIMEOUT")


@pytest.mark.parametrize("looked_after", [True, False])
@pytest.mark.parametrize("late_ms", [-1, 0, 1])
@pytest.mark.parametrize("state", STATES)
async def test_a_lease_expires_when_it_is_over_and_was_looked_after(
    lab: StateLab, state: AllocationState | None, late_ms: int, looked_after: bool
) -> None:
    holds = await allocation_in(lab, state)
    now_ms = NOW + TTL + late_ms
    await lab.looked_after(now_ms if looked_after else NOW)
    expiring = lab.allocations.expire("a", holds, now_ms=now_ms)
    if state is None or state is AllocationState.ENDED:
        assert await unchanged(lab, expiring) is None
        assert lab.reply == (["UNKNOWN"] if state is None else ["BEFORE"])
    elif late_ms < 0 or state is AllocationState.BOOKED:  # What is booked has no lease.
        assert await unchanged(lab, expiring) is None
        assert lab.reply == ["EARLY"]
    elif not looked_after:
        assert await unchanged(lab, expiring) is None
        assert lab.reply == ["PAUSED"]
    else:
        assert await expiring == lab.view.revision
        await check_ended(lab, holds, "EXPIRED")


@pytest.mark.parametrize("token", [TOKEN, "another", ""])
@pytest.mark.parametrize("left_ms", [1, 0, -1])
@pytest.mark.parametrize("state", STATES)
async def test_a_beat_extends_what_lives_until_the_lease_is_over(
    lab: StateLab, state: AllocationState | None, left_ms: int, token: str
) -> None:
    await allocation_in(lab, state)
    now_ms = NOW + TTL - left_ms
    await lab.looked_after(now_ms)
    beating = lab.beat("a", token=token, now_ms=now_ms)
    if state is None:
        assert await unchanged(lab, beating) == Unknown()
    elif token != TOKEN:
        assert await unchanged(lab, beating) == WrongToken()
    elif state is AllocationState.ENDED:
        assert await unchanged(lab, beating) == Over("REVOKED", "by the operator")
    elif state is AllocationState.BOOKED:
        assert await unchanged(lab, beating) == Alive(FROM - now_ms, TTL, state, None)
    elif left_ms <= 0:
        assert await unchanged(lab, beating) == Over("EXPIRED", "no heartbeat came in time")
    else:
        queued = state is AllocationState.QUEUED
        max_left = None if queued else NOW + MAX_MS - now_ms
        assert await beating == Alive(TTL, TTL, state, max_left)
        assert await lab.deadline_ms("lease:a") == now_ms + TTL
        assert (await lab.dump())["alarm:a"] == round((now_ms + TTL) / 1000)


@pytest.mark.parametrize("epoch_off_by", [0, -1, 1])
@pytest.mark.parametrize("state", STATES)
async def test_only_what_is_queued_is_granted_and_only_by_whoever_is_elected(
    lab: StateLab, state: AllocationState | None, epoch_off_by: int
) -> None:
    await allocation_in(lab, state)
    who = await lab.register("m2")
    await lab.describe(who, "spare")
    epoch = lab.epoch + epoch_off_by
    granting = lab.allocations.grant("a", [lab.planned("spare")], epoch=epoch, now_ms=NOW)
    if epoch_off_by:
        await refused(lab, granting, Deposed)
        assert lab.reply == ["DEPOSED"]
    elif state is None or AllocationEvent.GRANT not in ALLOCATION[state]:
        await refused(lab, granting, GrantRefused)
        assert lab.reply == ["NOT_QUEUED", state]
    else:
        await granting
        assert lab.reply[0] == "GRANTED"
        assert lab.view.allocations["a"].state is AllocationState.PREPARING
        dump = await lab.dump()
        assert "wait:a" not in dump["deadlines"]
        assert dump["deadlines"]["max:a"] == NOW + MAX_MS
        assert dump["deadlines"]["offer:spare.1"] == NOW + lab.limits.offer_ms


@pytest.mark.parametrize("left_ms", [1, 0])
@pytest.mark.parametrize("state", STATES)
async def test_only_what_has_ended_is_forgotten_and_only_when_that_is_due(
    lab: StateLab, state: AllocationState | None, left_ms: int
) -> None:
    await allocation_in(lab, state)
    allocation = lab.view.allocations.get("a") or Allocation(
        id="a", request_key=lab.keys.request("x")
    )
    forgetting = lab.allocations.forget(allocation, now_ms=NOW + lab.limits.retention_ms - left_ms)
    if state is not AllocationState.ENDED or left_ms > 0:
        await unchanged(lab, forgetting)
        assert lab.reply == ["EARLY"]
    else:
        await forgetting
        assert lab.reply[0] == "FORGOTTEN"
        assert not {key for key in await lab.dump() if ":a" in key or key.startswith("request:")}
        assert lab.view.allocations == {}


@pytest.mark.parametrize("state", AllocationState)
async def test_a_request_id_makes_one_allocation_as_long_as_that_is_remembered(
    lab: StateLab, state: AllocationState
) -> None:
    await allocation_in(lab, state)
    again = lab.allocations.submit(
        Allocation(id="b", ttl_ms=TTL), token="t", request_id="request-a", digest="d", now_ms=NOW
    )
    assert await unchanged(lab, again) == ("a", None)
    other = lab.allocations.submit(
        Allocation(id="b", ttl_ms=TTL), token="t", request_id="request-a", digest="e", now_ms=NOW
    )
    await refused(lab, other, errors.RequestIdReused)


async def test_a_request_id_is_new_again_once_its_allocation_is_forgotten(lab: StateLab) -> None:
    await allocation_in(lab, AllocationState.ENDED)
    allocation = lab.view.allocations["a"]
    await lab.allocations.forget(allocation, now_ms=NOW + lab.limits.retention_ms)
    made = await lab.allocations.submit(
        Allocation(id="b", ttl_ms=TTL), token="t", request_id="request-a", digest="e", now_ms=NOW
    )
    assert made == ("b", lab.view.revision)


async def test_secrets_are_in_no_entry_of_the_log(lab: StateLab) -> None:
    await allocation_in(lab, AllocationState.READY)
    entries = str(await lab.link.call("XRANGE", lab.keys.log, "-", "+"))
    stored = (await lab.dump())["allocation:a"]["token_sha"]
    assert len(stored) == 64
    assert stored not in entries
    assert TOKEN not in entries
    assert "connection" not in entries


@pytest.mark.parametrize("how", ["release", "end", "expire"])
@pytest.mark.parametrize("named", [[], ["x.1"], ["r.1", "x.2"], ["r.1", "r.1"]])
async def test_whoever_names_the_wrong_holds_is_told_the_right_ones(
    lab: StateLab, how: str, named: list[str]
) -> None:
    holds = await allocation_in(lab, AllocationState.READY)
    await lab.looked_after(NOW + TTL)
    lab.checked.calls.clear()
    if how == "release":
        await lab.allocations.release("a", named, token=TOKEN, now_ms=NOW + TTL)
        reason = "RELEASED"
    elif how == "end":
        await lab.allocations.end("a", named, EndReason.PREEMPTED, "", now_ms=NOW + TTL)
        reason = "PREEMPTED"
    else:
        await lab.allocations.expire("a", named, now_ms=NOW + TTL)
        reason = "EXPIRED"
    assert lab.checked.calls == [how, how]
    await check_ended(lab, holds, reason)
