"""Resources: descriptions, health and admin state, from the tables."""

from dataclasses import replace
from enum import StrEnum

import pytest

from hwprovisioner.heartbeat.beats import Alive
from hwprovisioner.state import errors
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.tables import (
    TABLES,
    Admin,
    AdminEvent,
    Health,
    HealthEvent,
    Presence,
)
from support.state_lab import GIB, NOW, TOKEN, StateLab, manager_in, refused, unchanged

CASES = [
    *(("health", s, e, held) for s in Health for e in HealthEvent for held in (False, True)),
    *(
        ("admin", s, e, held)
        for s in Admin
        for e in AdminEvent
        for held in (False, True)
        # Without holds it is drained at once.
        if held or s is not Admin.DRAINING
    ),
]


def admin_of(lab: StateLab) -> Admin:
    return lab.view.resources["r"].admin


async def resource_at(lab: StateLab, axis: str, state: StrEnum, *, held: bool) -> None:
    """Bring resource r into a state of an axis, with a hold on it or without."""
    who = await lab.register()
    await lab.describe(who)
    if held:
        await lab.elect()
        await lab.submit()
        await lab.grant("a")
    into: dict[str, str] = {
        Health.SUSPECT: "suspect",
        Health.QUARANTINED: "quarantine",
        Admin.DRAINING: "drain",
        Admin.MAINTENANCE: "drain",
    }
    if event := into.get(state):
        await lab.turn("r", axis, event, "test", now_ms=NOW)
    if state is Admin.MAINTENANCE and held:
        await lab.link.call("HSET", lab.keys.resource("r"), "admin", state)


@pytest.mark.parametrize(("axis", "state", "event", "held"), CASES)
async def test_an_axis_turns_as_its_table_says_or_nothing_changes(
    lab: StateLab, axis: str, state: StrEnum, event: StrEnum, held: bool
) -> None:
    await resource_at(lab, axis, state, held=held)
    target = TABLES[axis][state].get(event)
    turning = lab.turn("r", axis, event, "because", now_ms=NOW)
    if target is None or event is AdminEvent.DRAINED:
        # That nothing holds it any longer is for the lab to find out.
        await refused(lab, turning, errors.WrongState)
        assert lab.reply == ["WRONG_STATE", state]
        return
    drained = target is Admin.DRAINING and not held
    assert await turning == lab.view.revision
    resource = lab.view.resources["r"]
    assert getattr(resource, axis) == (Admin.MAINTENANCE if drained else target)
    assert resource.axis_reason == "because"


@pytest.mark.parametrize("axis", ["health", "admin"])
async def test_what_does_not_exist_does_not_turn(lab: StateLab, axis: str) -> None:
    turning = lab.turn("r", axis, "drain", "because", now_ms=NOW)
    await refused(lab, turning, errors.NoSuchResource)


async def test_a_draining_resource_is_in_maintenance_once_its_last_hold_is_cleaned(
    lab: StateLab,
) -> None:
    await resource_at(lab, "admin", Admin.DRAINING, held=True)
    assert admin_of(lab) is Admin.DRAINING
    await lab.allocations.release("a", ["r.1"], token=TOKEN, now_ms=NOW)
    assert admin_of(lab) is Admin.DRAINING
    await lab.holds.cleaned(Speaker("m", 1), "r.1", 2, now_ms=NOW)
    assert admin_of(lab) is Admin.MAINTENANCE


async def test_who_holds_a_draining_resource_is_told_so_with_each_heartbeat(lab: StateLab) -> None:
    await resource_at(lab, "admin", Admin.DRAINING, held=True)
    told = await lab.beat("a")
    assert isinstance(told, Alive)
    assert told.draining == ("r",)
    await lab.turn("r", "admin", "enable")
    told = await lab.beat("a")
    assert isinstance(told, Alive)
    assert told.draining == ()


async def test_a_request_that_is_sent_back_no_longer_hears_of_the_resource_it_had(
    lab: StateLab,
) -> None:
    await resource_at(lab, "admin", Admin.DRAINING, held=True)
    hold = lab.view.holds["r.1"]
    await lab.holds.fail(Speaker("m", 1), hold, hold.fence, ["r.1"], "smoke", now_ms=NOW)
    told = await lab.beat("a")
    assert isinstance(told, Alive)
    assert told.draining == ()


async def test_turning_a_resource_that_others_may_hold_by_now_changes_nothing(
    lab: StateLab,
) -> None:
    await resource_at(lab, "admin", Admin.ENABLED, held=True)
    known = replace(lab.view.resources["r"], fence=0)
    turning = lab.managers.turn(known, "admin", "drain", "because", now_ms=NOW)
    assert await unchanged(lab, turning) is None
    assert lab.reply == ["STALE_FENCE", "1"]


@pytest.mark.parametrize("change", [{"spec": '{"a":1}'}, {"volunteered": False}, {}])
async def test_describing_writes_what_is_new_and_counts_new_descriptions(
    lab: StateLab, change: dict[str, object]
) -> None:
    who = await lab.register()
    before = await lab.describe(who)
    if not change:
        await unchanged(lab, lab.describe(who))
        assert lab.reply == ["SAME"]
        return
    after = await lab.describe(who, **change)  # type: ignore[arg-type]
    assert lab.reply[0] == "DESCRIBED"
    assert after.generation == before.generation + ("spec" in change)


@pytest.mark.parametrize("presence", Presence)
@pytest.mark.parametrize("held", [False, True])
async def test_a_name_is_taken_over_only_from_a_lost_manager_and_only_unheld(
    lab: StateLab, presence: Presence, held: bool
) -> None:
    who = await manager_in(lab, Presence.ONLINE)
    await lab.describe(who)
    if held:
        await lab.elect()
        await lab.submit()
        await lab.grant("a")
    if presence is not Presence.ONLINE:
        await lab.managers.disconnect("m", 1, now_ms=NOW - lab.limits.lost_ms)
    if presence is Presence.LOST:
        await lab.managers.lose("m", now_ms=NOW)
    other = await lab.register("other")
    taking = lab.describe(other, present_manager="m")
    if presence is Presence.LOST and not held:
        assert (await taking).manager == "other"
    else:
        await refused(lab, taking, errors.NameTaken)
        assert lab.reply == ["TAKEN", "m"]


async def test_a_takeover_must_name_who_has_the_name(lab: StateLab) -> None:
    await lab.describe(await manager_in(lab, Presence.ONLINE))
    lost = await lab.register("lost")
    await lab.managers.disconnect("lost", 1, now_ms=NOW - lab.limits.lost_ms)
    await lab.managers.lose("lost", now_ms=NOW)
    other = await lab.register("other")
    await refused(lab, lab.describe(other, present_manager=lost.manager_id), errors.NameTaken)


@pytest.mark.parametrize("removed", [False, True])
@pytest.mark.parametrize("held", [False, True])
async def test_what_is_withdrawn_is_not_to_be_had_and_goes_once_nothing_holds_it(
    lab: StateLab, removed: bool, held: bool
) -> None:
    who = await manager_in(lab, Presence.ONLINE)
    await lab.describe(who)
    if held:
        await lab.elect()
        await lab.submit()
        await lab.grant("a")
    await lab.managers.withdraw(who, "r", "repair", removed=removed, now_ms=NOW)
    assert lab.reply[0] == "WITHDRAWN"
    if removed and not held:
        assert lab.view.resources == {}
        await refused(
            lab,
            lab.managers.withdraw(who, "r", "repair", removed=True, now_ms=NOW),
            errors.NoSuchResource,
        )
        return
    assert not lab.view.resources["r"].volunteered
    again = lab.managers.withdraw(who, "r", "repair", removed=removed, now_ms=NOW)
    await unchanged(lab, again)
    assert lab.reply == ["SAME"]
    if held and removed:
        await lab.allocations.release("a", ["r.1"], token=TOKEN, now_ms=NOW)
        await lab.holds.cleaned(who, "r.1", 2, now_ms=NOW)
        assert lab.view.resources == {}
        assert (await lab.describe(who)).fence == 2, "fences rise for ever"


@pytest.mark.parametrize("stale", ["epoch", "manager"])
async def test_only_its_managers_newest_registration_speaks_for_a_resource(
    lab: StateLab, stale: str
) -> None:
    who = await manager_in(lab, Presence.ONLINE)
    await lab.describe(who)
    if stale == "epoch":
        await lab.register()
        error: type[Exception] = errors.Superseded
        await refused(lab, lab.describe(who, spec='{"b":1}'), error)
    else:
        who = await lab.register("other")
        error = errors.NoSuchResource
        await refused(lab, lab.describe(who, spec='{"b":1}'), errors.NameTaken)
    withdrawing = lab.managers.withdraw(who, "r", "repair", removed=True, now_ms=NOW)
    await refused(lab, withdrawing, error)


@pytest.mark.parametrize("late_ms", [-1, 0])
@pytest.mark.parametrize("removed", [False, True])
async def test_a_declined_resource_rests_until_that_is_over(
    lab: StateLab, late_ms: int, removed: bool
) -> None:
    who = await manager_in(lab, Presence.ONLINE)
    await lab.describe(who, memory=64 * GIB)
    await lab.elect()
    await lab.submit()
    [hold] = await lab.grant("a")
    await lab.holds.decline(who, hold, hold.fence, [hold.id], "busy", 5_000, now_ms=NOW)
    assert lab.view.resources["r"].rest_until == NOW + 5_000
    assert lab.view.resources["r"].rest_reason == "busy"
    if removed:
        await lab.managers.withdraw(who, "r", "gone", removed=True, now_ms=NOW)
    resting = lab.managers.rested("r", now_ms=NOW + 5_000 + late_ms)
    if late_ms < 0 or removed:
        await unchanged(lab, resting)
        assert lab.reply == ["EARLY"]
    else:
        await resting
        assert lab.reply[0] == "RESTED"
        assert lab.view.resources["r"].rest_until == 0
    assert (await lab.deadline_ms("rest:r") is None) is (removed or late_ms == 0)


async def test_a_removed_resource_leaves_nothing_but_its_fence(lab: StateLab) -> None:
    who = await manager_in(lab, Presence.ONLINE)
    await lab.describe(who, slots=2)
    await lab.elect()
    for name in ("a", "b"):
        await lab.submit(name)
        await lab.grant(name)
    await lab.managers.withdraw(who, "r", "sold", removed=True, now_ms=NOW)
    declined = lab.view.holds["r.2"]
    await lab.holds.decline(who, declined, 2, ["r.2"], "busy", 5_000, now_ms=NOW)
    await lab.allocations.release("a", ["r.1"], token=TOKEN, now_ms=NOW)
    await lab.holds.cleaned(who, "r.1", 3, now_ms=NOW)
    dump = await lab.dump()
    assert not {key for key in dump if key.startswith(("resource:", "hold:", "index:resource"))}
    assert not {member for member in dump["deadlines"] if ":r" in member}
    assert dump["fences"] == {"r": "3"}
