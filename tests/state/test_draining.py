"""Resources in and out of service: who is told of it, and what it ends."""

from dataclasses import replace

import pytest

from hwprovisioner.heartbeat.beats import Alive
from hwprovisioner.state import errors
from hwprovisioner.state.keys import Due
from hwprovisioner.state.tables import ADMIN, Admin, AdminEvent, EndReason, Health
from support.lab_promises import check_promises
from support.state_lab import NOW, TOKEN, StateLab, refused, unchanged
from support.upkeep import WHO, held

DEADLINE = NOW + 20_000


def admin_of(lab: StateLab) -> Admin:
    return lab.view.resources["r"].admin


async def resource_is(lab: StateLab, *, admin: Admin, is_held: bool) -> None:
    if is_held:
        await held(lab)
    else:
        await lab.describe(await lab.register())
    if admin is not Admin.ENABLED:
        await lab.drain("r", "new disk", "eve")
    await lab.link.call("HSET", lab.keys.resource("r"), "admin", admin)


async def told(lab: StateLab, now_ms: int = NOW) -> Alive:
    found = await lab.beat("a", now_ms=now_ms)
    assert isinstance(found, Alive)
    return found


@pytest.mark.parametrize("is_held", [False, True])
@pytest.mark.parametrize("admin", Admin)
async def test_draining_leads_where_the_table_says_and_keeps_who_why_and_when(
    lab: StateLab, admin: Admin, is_held: bool
) -> None:
    await resource_is(lab, admin=admin, is_held=is_held)
    target = ADMIN[admin][AdminEvent.DRAIN]
    if not is_held:
        # That nothing holds it is found out at once.
        target = ADMIN[target].get(AdminEvent.DRAINED, target)
    assert await lab.drain("r", "fan", "bob", now_ms=NOW + 5) == lab.view.revision
    resource = lab.view.resources["r"]
    assert (resource.admin, resource.admin_reason) == (target, "fan")
    assert (resource.operator, resource.operated_ms) == ("bob", NOW + 5)


@pytest.mark.parametrize("is_held", [False, True])
@pytest.mark.parametrize("admin", Admin)
async def test_enabling_leads_where_the_table_says(
    lab: StateLab, admin: Admin, is_held: bool
) -> None:
    await resource_is(lab, admin=admin, is_held=is_held)
    assert await lab.enable("r", "", "bob", now_ms=NOW + 5) == lab.view.revision
    resource = lab.view.resources["r"]
    assert (resource.admin, resource.admin_reason) == (ADMIN[admin][AdminEvent.ENABLE], "")
    assert (resource.operator, resource.operated_ms) == ("bob", NOW + 5)
    assert resource.health is Health.HEALTHY


async def test_what_does_not_exist_is_neither_drained_nor_enabled_nor_judged(
    lab: StateLab,
) -> None:
    await lab.register()
    await refused(lab, lab.drain(), errors.NoSuchResource)
    await refused(lab, lab.enable(), errors.NoSuchResource)
    saying = lab.upkeep.say_health(WHO, "r", Health.SUSPECT, "", 0, now_ms=NOW)
    await refused(lab, saying, errors.NoSuchResource)


async def test_a_draining_resource_is_in_maintenance_once_its_last_hold_is_cleaned(
    lab: StateLab,
) -> None:
    await held(lab)
    await lab.drain(deadline_ms=DEADLINE)
    assert admin_of(lab) is Admin.DRAINING
    await lab.allocations.release("a", ["r.1"], token=TOKEN, now_ms=NOW)
    assert admin_of(lab) is Admin.DRAINING
    await lab.holds.cleaned(WHO, "r.1", 2, now_ms=NOW)
    assert admin_of(lab) is Admin.MAINTENANCE
    assert lab.view.resources["r"].deadline_ms == 0


async def test_who_holds_a_draining_resource_is_told_so_with_each_heartbeat(lab: StateLab) -> None:
    await held(lab)
    await lab.drain()
    assert (await told(lab)).draining == ("r",)
    assert (await told(lab)).revoke_left_ms is None
    await lab.enable()
    assert (await told(lab)).draining == ()


async def test_with_a_deadline_they_are_told_how_long_is_left(lab: StateLab) -> None:
    await held(lab)
    await lab.drain(deadline_ms=DEADLINE)
    alive = await told(lab, NOW + 5_000)
    assert (alive.draining, alive.revoke_left_ms) == (("r",), 15_000)
    assert lab.view.resources["r"].deadline_ms == DEADLINE
    await lab.enable()
    assert (await told(lab)).revoke_left_ms is None
    assert await lab.deadline_ms("revoke:a") is None
    check_promises(await lab.dump(), {})


@pytest.mark.parametrize("late_ms", [-1, 0, 1])
async def test_what_holds_it_is_ended_at_the_deadline_and_not_before(
    lab: StateLab, late_ms: int
) -> None:
    await held(lab)
    await lab.drain(deadline_ms=DEADLINE)
    ending = lab.allocations.end(
        *("a", ["r.1"], EndReason.REVOKED, "by an operator"),
        due=Due.REVOKE,
        now_ms=DEADLINE + late_ms,
    )
    if late_ms < 0:
        assert await unchanged(lab, ending) is None
        return
    await ending
    assert lab.view.allocations["a"].end_reason is EndReason.REVOKED
    assert await lab.deadline_ms("revoke:a") is None
    check_promises(await lab.dump(), {})


async def test_a_drain_that_is_at_once_is_due_now(lab: StateLab) -> None:
    await held(lab)
    await lab.drain(deadline_ms=0)
    assert lab.view.resources["r"].deadline_ms == NOW
    assert await lab.deadline_ms("revoke:a") == NOW


async def test_of_several_drains_the_first_deadline_counts_and_each_can_be_taken_back(
    lab: StateLab,
) -> None:
    await held(lab, "r", "s", "t")
    await lab.drain("s", deadline_ms=DEADLINE + 1)
    await lab.drain("r", deadline_ms=DEADLINE)
    await lab.drain("t")
    assert set((await told(lab)).draining) == {"r", "s", "t"}
    assert await lab.deadline_ms("revoke:a") == lab.view.allocations["a"].revoke_ms == DEADLINE
    await lab.enable("r")
    assert await lab.deadline_ms("revoke:a") == lab.view.allocations["a"].revoke_ms == DEADLINE + 1
    await lab.drain("s")
    assert await lab.deadline_ms("revoke:a") is None
    assert set((await told(lab)).draining) == {"s", "t"}
    check_promises(await lab.dump(), {})


async def test_what_tolerates_maintenance_is_granted_it_and_is_not_ended_by_it(
    lab: StateLab,
) -> None:
    await held(lab)
    await lab.describe(WHO, "s")
    await lab.drain("s", "new disk")
    assert lab.view.resources["s"].admin is Admin.MAINTENANCE
    tolerant = replace(lab.view.allocations["a"], id="b", tolerates=True)
    await lab.allocations.submit(
        tolerant, token=TOKEN, request_id="request-b", digest="d", now_ms=NOW
    )
    await lab.grant("b", lab.planned("s"))
    await lab.drain("s", deadline_ms=DEADLINE)
    assert lab.view.allocations["b"].draining == ()
    assert await lab.deadline_ms("revoke:b") is None
    await lab.allocations.release("b", ["s.1"], token=TOKEN, now_ms=NOW)
    await lab.holds.cleaned(WHO, "s.1", 2, now_ms=NOW)
    assert lab.view.resources["s"].admin is Admin.MAINTENANCE


async def test_a_request_that_is_sent_back_no_longer_hears_of_the_resource_it_had(
    lab: StateLab,
) -> None:
    who = await lab.register()
    await lab.describe(who)
    await lab.elect()
    await lab.submit()
    [hold] = await lab.grant("a")
    await lab.drain(deadline_ms=DEADLINE)
    await lab.holds.fail(who, hold, hold.fence, [hold.id], "smoke", now_ms=NOW)
    alive = await told(lab)
    assert (alive.draining, alive.revoke_left_ms) == ((), None)
    assert await lab.deadline_ms("revoke:a") is None


async def test_draining_a_resource_that_others_may_hold_by_now_changes_nothing(
    lab: StateLab,
) -> None:
    await held(lab)
    known = replace(lab.view.resources["r"], fence=0)
    for doing in (lab.upkeep.drain, lab.upkeep.enable):
        assert await unchanged(lab, doing(known, "", "", [], now_ms=NOW)) is None
        assert lab.reply == ["STALE_FENCE", "1"]


async def test_after_an_outage_holders_have_time_to_hear_of_a_drain(lab: StateLab) -> None:
    await held(lab)
    await lab.drain(deadline_ms=DEADLINE)
    back = NOW + 3_600_000
    paused = await lab.paused(back)
    await lab.care.restore(paused, back_ms=60_000, now_ms=back)
    assert (await told(lab, back)).revoke_left_ms == 60_000
