"""Resources: what their managers say that they are, and whether they are to be had."""

import json

import pytest

from hwprovisioner.state import errors
from hwprovisioner.state.tables import Presence
from support.state_lab import GIB, NOW, TOKEN, StateLab, manager_in, refused, unchanged


@pytest.mark.parametrize(
    "change", [{"spec": '{"a":1}'}, {"volunteered": False}, {"warnings": '["2 cpus, not 4"]'}, {}]
)
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
    assert after.warnings == change.get("warnings", "")
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
    kept = json.loads(dump["removed"]["r"])
    said = {"health": "HEALTHY", "admin": "ENABLED", "operator": "", "looks": "0"}
    assert said.items() <= kept.items()
    assert kept["fence"] == "3"
