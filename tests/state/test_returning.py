"""What was said of a resource is still so when it comes back."""

import pytest

from hwprovisioner.state.tables import Admin, Health, Presence
from support.state_lab import NOW, TOKEN, StateLab, manager_in
from support.upkeep import WHO, healthy, held


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
