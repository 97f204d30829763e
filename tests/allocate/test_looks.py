"""How resources are: what their managers say, and who lifts what was said."""

from typing import Any

import pytest

from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1.resource_pb2 import (
    HEALTH_HEALTHY,
    HEALTH_QUARANTINED,
    HEALTH_SUSPECT,
)
from support.asking import asking
from support.eventually import eventually
from support.operating import enable, health_is, one_machine, quarantine, say_well, taken_in
from support.services import Running


async def test_what_is_quarantined_is_lent_again_once_its_manager_has_found_it_well(
    service: Running,
) -> None:
    async with one_machine(service) as agent:
        await quarantine(service)
        async with asking(service.stub) as waiting:
            await waiting.waits_for("quarantined: burnt (by bob)")
            assert (await enable(service)).health == HEALTH_SUSPECT
            look = await agent.hear("look_after")
            assert look.resource == "a"
            assert look.reason == (
                "eve puts it back into service, it was quarantined: burnt (by bob)"
            )
            await waiting.waits_for("suspect")
            await say_well(agent, look.look)
            await waiting.until("ready")


async def test_what_was_said_before_the_newest_look_lifts_nothing(service: Running) -> None:
    async with one_machine(service) as agent:
        await quarantine(service)
        await enable(service)
        before = await agent.hear("look_after")
        await quarantine(service)
        await enable(service)
        newest = await agent.hear("look_after")
        await say_well(agent, before.look)
        await taken_in(agent)
        assert await health_is(service, HEALTH_SUSPECT)
        await say_well(agent, newest.look)
        await eventually(lambda: health_is(service, HEALTH_HEALTHY))


async def test_what_a_manager_gave_up_before_a_person_lifted_it_is_lifted_once(
    service: Running,
) -> None:
    given_up = stream.HealthChange(resource="a", health=HEALTH_QUARANTINED, reason="not clean")
    async with one_machine(service) as agent:
        await agent.say(health=given_up)
        await eventually(lambda: health_is(service, HEALTH_QUARANTINED))
    await enable(service)
    async with one_machine(service) as agent:
        look = await agent.hear("look_after")
        # It could not know, and tells again what it has found.
        await agent.say(health=given_up)
        await taken_in(agent)
        assert await health_is(service, HEALTH_SUSPECT)
        await say_well(agent, look.look)
        await eventually(lambda: health_is(service, HEALTH_HEALTHY))


async def test_a_manager_that_has_lost_its_journal_finds_out_anew_what_is_wrong(
    service: Running,
) -> None:
    async with one_machine(service) as agent:
        await quarantine(service)
        await enable(service)
        await say_well(agent, (await agent.hear("look_after")).look)
        await eventually(lambda: health_is(service, HEALTH_HEALTHY))
        given_up = stream.HealthChange(resource="a", health=HEALTH_QUARANTINED, reason="smoke")
        await agent.say(health=given_up)
        look = await agent.hear("look_after")
        assert (look.reason, look.look) == ("smoke", 2)
        given_up.look = look.look
        await agent.say(health=given_up)
        await eventually(lambda: health_is(service, HEALTH_QUARANTINED))


async def test_a_manager_does_not_lift_a_quarantine(service: Running) -> None:
    async with one_machine(service) as agent:
        await quarantine(service)
        await agent.say(health=stream.HealthChange(resource="a", health=HEALTH_HEALTHY))
        refused = await agent.hear("refused")
        assert (refused.reason, refused.resource) == ("WRONG_STATE", "a")
        assert await health_is(service, HEALTH_QUARANTINED)


async def test_a_manager_that_comes_back_finds_what_is_quarantined_so(service: Running) -> None:
    async with one_machine(service):
        await quarantine(service)
    async with one_machine(service) as agent, asking(service.stub) as waiting:
        await waiting.waits_for("quarantined")
        await enable(service)
        assert (await agent.hear("look_after")).resource == "a"


async def test_a_manager_that_comes_back_is_told_again_what_to_look_after(
    service: Running,
) -> None:
    async with one_machine(service) as agent:
        suspect = stream.HealthChange(resource="a", health=HEALTH_SUSPECT, reason="hot")
        await agent.say(health=suspect)
        await eventually(lambda: health_is(service, HEALTH_SUSPECT))
        assert not [each for each in agent.heard if each.HasField("look_after")]
    async with one_machine(service) as agent:
        look = await agent.hear("look_after")
        assert (look.resource, look.reason) == ("a", "hot")


@pytest.mark.parametrize(
    ("change", "reason", "named"),
    [
        ({"resource": "a"}, "BAD_REQUEST", "a"),
        ({"resource": "a", "health": 99}, "BAD_REQUEST", "a"),
        ({"resource": "A B", "health": HEALTH_SUSPECT}, "BAD_REQUEST", "A B"),
        ({"resource": "a", "health": HEALTH_SUSPECT, "reason": "x" * 1025}, "BAD_REQUEST", "a"),
        ({"resource": "a", "health": HEALTH_SUSPECT, "look": -1}, "BAD_REQUEST", "a"),
        ({"resource": "other", "health": HEALTH_SUSPECT}, "NO_SUCH_RESOURCE", "other"),
    ],
)
async def test_what_makes_no_sense_of_a_resources_health_is_refused(
    service: Running, change: dict[str, Any], reason: str, named: str
) -> None:
    async with one_machine(service) as agent:
        await agent.say(health=stream.HealthChange(**change))
        refused = await agent.hear("refused")
        assert (refused.reason, refused.resource) == (reason, named)
        assert await health_is(service, HEALTH_HEALTHY)
