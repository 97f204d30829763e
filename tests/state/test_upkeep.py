"""Resources in and out of service, well and not: what people, managers and the lab may say."""

from dataclasses import replace

import pytest

from hwprovisioner.heartbeat.beats import Alive
from hwprovisioner.state import errors
from hwprovisioner.state.keys import Due
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.tables import (
    ADMIN,
    HEALTH,
    Admin,
    AdminEvent,
    EndReason,
    Health,
    HealthEvent,
    Presence,
)
from support.lab_promises import check_promises
from support.state_lab import NOW, TOKEN, StateLab, manager_in, refused, unchanged

DEADLINE = NOW + 20_000
WHO = Speaker("m", 1)


def admin_of(lab: StateLab) -> Admin:
    return lab.view.resources["r"].admin


async def held(lab: StateLab, *names: str) -> None:
    """Have resource r, and others, all held by allocation a, which is ready."""
    who = await lab.register()
    await lab.elect()
    await lab.tend()
    await lab.submit()
    for name in names or ("r",):
        await lab.describe(who, name)
    plans = (lab.planned(name, host=f"host-{name}") for name in names or ("r",))
    for hold in await lab.grant("a", *plans):
        await lab.holds.accept(who, hold.id, hold.fence, now_ms=NOW)
        await lab.holds.ready(who, hold, hold.fence, "{}", now_ms=NOW)


async def resource_is(lab: StateLab, *, admin: Admin, is_held: bool) -> None:
    if is_held:
        await held(lab)
    else:
        await lab.describe(await lab.register())
    if admin is not Admin.ENABLED:
        await lab.drain("r", "new disk", "eve")
    await lab.link.call("HSET", lab.keys.resource("r"), "admin", admin)


async def healthy(lab: StateLab, health: Health = Health.HEALTHY) -> None:
    """Have resource r, whose manager has said how it is."""
    await lab.describe(await lab.register())
    if health is not Health.HEALTHY:
        await lab.judge("r", health, "smoke")


async def told(lab: StateLab, now_ms: int = NOW) -> Alive:
    found = await lab.beat("a", now_ms=now_ms)
    assert isinstance(found, Alive)
    return found


# Draining.


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


# Health.


@pytest.mark.parametrize("said", Health)
@pytest.mark.parametrize("before", Health)
async def test_a_manager_says_how_its_resource_is_as_far_as_the_table_lets_it(
    lab: StateLab, before: Health, said: Health
) -> None:
    await healthy(lab, before)
    event = {"SUSPECT": "suspect", "QUARANTINED": "quarantine", "HEALTHY": "clear"}[said]
    target = HEALTH[before].get(HealthEvent(event))
    saying = lab.judge("r", said, "more smoke", now_ms=NOW)
    if target is None:
        assert before is Health.QUARANTINED
        await refused(lab, saying, errors.WrongState)
    elif before is said and said is not Health.SUSPECT:
        await unchanged(lab, saying)
        assert lab.reply == ["SAME"]
    else:
        await saying
        resource = lab.view.resources["r"]
        reason = "" if said is Health.HEALTHY else "more smoke"
        assert (resource.health, resource.health_reason) == (target, reason)
        assert resource.operator == ""


async def test_a_manager_that_says_the_same_again_changes_nothing(lab: StateLab) -> None:
    await healthy(lab, Health.SUSPECT)
    await unchanged(lab, lab.judge("r", Health.SUSPECT, "smoke"))


@pytest.mark.parametrize("look", [0, 1, 2, 3])
async def test_only_the_answer_to_the_newest_look_says_that_all_is_well(
    lab: StateLab, look: int
) -> None:
    await healthy(lab, Health.SUSPECT)
    await lab.enable("r", "eve says that it is well", "eve")
    await lab.enable("r", "eve says so again", "eve")
    saying = lab.judge("r", Health.HEALTHY, look=look)
    if look == 2:
        await saying
        assert lab.view.resources["r"].health is Health.HEALTHY
    else:
        await unchanged(lab, saying)


@pytest.mark.parametrize("said", [Health.SUSPECT, Health.QUARANTINED])
@pytest.mark.parametrize("before", Health)
async def test_what_speaks_against_it_is_found_out_anew_if_it_is_older_than_the_newest_look(
    lab: StateLab, before: Health, said: Health
) -> None:
    await healthy(lab, Health.SUSPECT)
    await lab.enable("r", "eve says that it is well", "eve")
    if before is not Health.SUSPECT:
        await lab.judge("r", before, "burnt")
    saying = lab.judge("r", said, "smoke", look=0)
    if before is not Health.HEALTHY:
        await unchanged(lab, saying)
        return
    await saying
    resource = lab.view.resources["r"]
    assert (resource.health, resource.health_reason) == (Health.SUSPECT, "smoke")
    assert resource.looks == 2, "its manager is told to look after it"


async def test_a_manager_that_knows_more_looks_than_the_lab_is_believed(lab: StateLab) -> None:
    await healthy(lab)
    await lab.judge("r", Health.QUARANTINED, "smoke", look=5)
    assert lab.view.resources["r"].health is Health.QUARANTINED


async def test_what_is_not_in_a_record_is_as_at_the_beginning_when_it_comes_back(
    lab: StateLab,
) -> None:
    await healthy(lab, Health.QUARANTINED)
    gone = ("operator", "operated_ms", "admin_reason", "looks")
    await lab.link.call("HDEL", lab.keys.resource("r"), *gone)
    await lab.managers.withdraw(WHO, "r", "gone", removed=True, now_ms=NOW)
    resource = await lab.describe(WHO)
    assert (resource.health, resource.health_reason) == (Health.QUARANTINED, "smoke")
    assert (resource.operator, resource.operated_ms, resource.looks) == ("", 0, 0)


async def test_the_count_of_looks_never_goes_back(lab: StateLab) -> None:
    await healthy(lab, Health.SUSPECT)
    await lab.enable("r", "", "eve")
    await lab.judge("r", Health.HEALTHY)
    await lab.managers.withdraw(WHO, "r", "gone", removed=True, now_ms=NOW)
    assert (await lab.describe(WHO)).looks == 1


@pytest.mark.parametrize("stale", ["epoch", "manager", "unknown"])
async def test_only_its_managers_newest_registration_says_how_a_resource_is(
    lab: StateLab, stale: str
) -> None:
    await healthy(lab)
    await lab.register()
    other = await lab.register("other")
    who, error = {
        "epoch": (WHO, errors.Superseded),
        "manager": (other, errors.NoSuchResource),
        "unknown": (Speaker("nobody", 1), errors.Forgotten),
    }[stale]
    saying = lab.upkeep.say_health(who, "r", Health.SUSPECT, "smoke", 0, now_ms=NOW)
    await refused(lab, saying, error)


@pytest.mark.parametrize("before", Health)
async def test_a_person_quarantines_whatever_it_was(lab: StateLab, before: Health) -> None:
    await healthy(lab, before)
    resource = lab.view.resources["r"]
    await lab.upkeep.quarantine(resource, "burnt", "eve", now_ms=NOW + 5)
    resource = lab.view.resources["r"]
    assert (resource.health, resource.health_reason) == (Health.QUARANTINED, "burnt")
    assert (resource.operator, resource.operated_ms) == ("eve", NOW + 5)


@pytest.mark.parametrize("before", Health)
async def test_what_a_person_puts_back_into_service_is_looked_after_first(
    lab: StateLab, before: Health
) -> None:
    await healthy(lab, before)
    await lab.enable("r", "eve says that it is well", "eve")
    resource = lab.view.resources["r"]
    assert resource.health is HEALTH[before][HealthEvent.LIFT]
    if before is Health.HEALTHY:
        assert (resource.looks, resource.health_reason) == (0, "")
        return
    assert (resource.looks, resource.health_reason) == (1, "eve says that it is well")
    await lab.judge("r", Health.HEALTHY)
    assert lab.view.resources["r"].health is Health.HEALTHY


@pytest.mark.parametrize("before", Health)
async def test_the_lab_suspects_only_what_is_healthy_and_was_not_looked_after_since(
    lab: StateLab, before: Health
) -> None:
    await healthy(lab, before)
    seen = lab.view.resources["r"]
    suspecting = lab.upkeep.suspect(seen, "failures", now_ms=NOW)
    if before is Health.QUARANTINED:
        await refused(lab, suspecting, errors.WrongState)
    elif before is Health.SUSPECT:
        await unchanged(lab, suspecting)
    else:
        await suspecting
        assert lab.view.resources["r"].health is Health.SUSPECT
        assert lab.view.resources["r"].looks == 1
        await lab.judge("r", Health.HEALTHY)
        await unchanged(lab, lab.upkeep.suspect(seen, "failures", now_ms=NOW))


@pytest.mark.parametrize("how", ["registers anew", "volunteers", "removes it for a while", "lost"])
async def test_a_quarantine_outlives_whatever_its_manager_does(lab: StateLab, how: str) -> None:
    who = await manager_in(lab, Presence.ONLINE)
    await lab.describe(who)
    await lab.upkeep.quarantine(lab.view.resources["r"], "burnt", "eve", now_ms=NOW)
    await lab.drain("r", "new disk", "eve")
    if how == "removes it for a while":
        await lab.managers.withdraw(who, "r", "gone", removed=True, now_ms=NOW)
        assert lab.view.resources == {}
    elif how == "lost":
        await lab.managers.disconnect("m", 1, now_ms=NOW - lab.limits.lost_ms)
        await lab.managers.lose("m", now_ms=NOW)
        who = await lab.register("other")
    elif how == "registers anew":
        who = await lab.register()
    await lab.describe(who, spec='{"cpus":9}', present_manager="m")
    resource = lab.view.resources["r"]
    assert (resource.health, resource.health_reason) == (Health.QUARANTINED, "burnt")
    assert (resource.admin, resource.admin_reason) == (Admin.MAINTENANCE, "new disk")
    assert (resource.operator, resource.operated_ms) == ("eve", NOW)


async def test_what_was_draining_when_it_was_removed_comes_back_in_maintenance(
    lab: StateLab,
) -> None:
    await held(lab)
    await lab.drain("r", "new disk")
    await lab.judge("r", Health.SUSPECT, "smoke")
    await lab.managers.withdraw(WHO, "r", "gone", removed=True, now_ms=NOW)
    await lab.allocations.release("a", ["r.1"], token=TOKEN, now_ms=NOW)
    await lab.holds.cleaned(WHO, "r.1", 2, now_ms=NOW)
    resource = await lab.describe(WHO)
    assert (resource.admin, resource.health, resource.fence) == ("MAINTENANCE", "SUSPECT", 2)
    assert resource.looks == 1, "its manager is told to look after it"
