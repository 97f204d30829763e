"""How well resources are: what people, managers and the lab may say of it."""

import pytest

from hwprovisioner.state import errors
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.tables import HEALTH, Health, HealthEvent
from support.state_lab import NOW, StateLab, refused, unchanged
from support.upkeep import WHO, healthy


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
