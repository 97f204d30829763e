"""What operators say of resources, what managers say of their health, and what becomes of it."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from hwprovisioner.allocate.policy import Policy, Quota, UserPolicy
from hwprovisioner.heartbeat.beats import Alive, Beat, BeatWriter
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.state.reading import Reader
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1 import resource_pb2
from hwprovisioner.v1.allocation_pb2 import ALLOCATION_STATE_READY, Requestor
from hwprovisioner.v1.resource_pb2 import (
    HEALTH_HEALTHY,
    HEALTH_QUARANTINED,
    HEALTH_SUSPECT,
    Health,
)
from support.asking import LIMIT_S, asking, new_request, resource, wanting
from support.eventually import eventually
from support.fake_manager import machine, manager
from support.refusals import refusal
from support.services import Running, allocate

HOUR_S = 3600


async def lab_time(redis_url: str, ahead_s: float) -> Timestamp:
    """Return a time so far ahead, by the clock of the lab's Redis."""
    async with Link(redis_url) as link:
        now_ms = await Reader(link, Keys()).now_ms()
    found = Timestamp()
    found.FromMilliseconds(now_ms + round(ahead_s * 1000))
    return found


async def drain(service: Running, **more: Any) -> resource_pb2.Resource:
    request = pb.DrainResourceRequest(name="a", reason="new disk", operator="eve", **more)
    return (await service.stub.DrainResource(request, timeout=LIMIT_S)).resource  # type: ignore[no-any-return]


async def enable(service: Running) -> resource_pb2.Resource:
    request = pb.EnableResourceRequest(name="a", operator="eve")
    return (await service.stub.EnableResource(request, timeout=LIMIT_S)).resource  # type: ignore[no-any-return]


async def quarantine(service: Running) -> resource_pb2.Resource:
    request = pb.QuarantineResourceRequest(name="a", reason="burnt", operator="bob")
    return (await service.stub.QuarantineResource(request, timeout=LIMIT_S)).resource  # type: ignore[no-any-return]


async def health_is(service: Running, health: Health.ValueType) -> bool:
    return (await resource(service.stub, "a")).health == health


async def say_well(agent: Any, look: int) -> None:
    change = stream.HealthChange(resource="a", health=HEALTH_HEALTHY, look=look)
    await agent.say(health=change)


async def taken_in(agent: Any) -> None:
    """Return once the lab has taken in what a manager has said."""
    nonsense = stream.HealthChange(resource="nowhere", health=HEALTH_HEALTHY)
    await agent.say(health=nonsense)
    await agent.hear("refused", lambda refused: refused.resource == "nowhere")


async def in_maintenance(service: Running) -> bool:
    state = (await resource(service.stub, "a")).admin_state
    return state == resource_pb2.ADMIN_STATE_MAINTENANCE


@contextlib.asynccontextmanager
async def one_machine(service: Running) -> AsyncIterator[Any]:
    async with manager(service.stub, "m", [machine("a")]) as agent:
        yield agent


async def test_at_the_deadline_what_holds_it_is_revoked_and_maintenance_begins(
    service: Running, redis_url: str
) -> None:
    async with one_machine(service), asking(service.stub) as holder, Link(redis_url) as link:
        await holder.until("ready")
        deadline = await lab_time(redis_url, HOUR_S)
        drained = await drain(service, deadline=deadline)
        assert drained.deadline_time == deadline
        shown = await service.stub.GetAllocation(pb.GetAllocationRequest(allocation_id=holder.id))
        assert shown.allocation.revoke_time == deadline
        [told] = await BeatWriter(link, Keys()).write([Beat(holder.id, holder.token)])
        assert isinstance(told, Alive)
        assert told.revoke_left_ms is not None
        assert 0 < told.revoke_left_ms <= HOUR_S * 1000
        await drain(service, deadline=await lab_time(redis_url, 0.3))
        assert await holder.ended() == "REVOKED"
        assert holder.allocation.end_detail == "a was taken out of service: new disk (by eve)"
        await eventually(lambda: in_maintenance(service))


async def test_a_drain_at_once_waits_for_nobody(service: Running) -> None:
    async with one_machine(service), asking(service.stub) as holder:
        await holder.until("ready")
        await drain(service, at_once=True)
        assert await holder.ended() == "REVOKED"
        await eventually(lambda: in_maintenance(service))


async def test_a_deadline_that_was_taken_back_ends_nothing(
    service: Running, redis_url: str
) -> None:
    async with one_machine(service), asking(service.stub) as holder:
        await holder.until("ready")
        await drain(service, deadline=await lab_time(redis_url, HOUR_S))
        enabled = await enable(service)
        assert not enabled.HasField("deadline_time")
        shown = await service.stub.GetAllocation(pb.GetAllocationRequest(allocation_id=holder.id))
        assert not shown.allocation.HasField("revoke_time")


async def test_a_deadline_lies_ahead_and_is_not_at_once_as_well(
    service: Running, redis_url: str
) -> None:
    over, ahead = await lab_time(redis_url, -1), await lab_time(redis_url, HOUR_S)
    for more, field in (
        ({"deadline": over}, "deadline"),
        ({"deadline": Timestamp(seconds=-1)}, "deadline"),
        ({"deadline": ahead, "at_once": True}, "at_once"),
    ):
        answer = await refusal(drain(service, **more))
        assert (answer.reason, answer.fields) == ("BAD_REQUEST", [field])


async def test_who_when_and_why_are_kept(service: Running, redis_url: str) -> None:
    async with one_machine(service):
        before = await lab_time(redis_url, 0)
        await quarantine(service)
        shown = await drain(service)
        assert (shown.health, shown.operator) == (HEALTH_QUARANTINED, "eve")
        assert shown.reason == "quarantined: burnt (by bob)"
        after = await lab_time(redis_url, 0)
        assert before.ToMilliseconds() <= shown.operated_time.ToMilliseconds()
        assert shown.operated_time.ToMilliseconds() <= after.ToMilliseconds()


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


async def test_what_contradicts_the_file_is_shown_until_it_is_put_right(service: Running) -> None:
    async with one_machine(service) as agent:
        warnings = ["cpus: the file says 8, there are 4", "os: Ubuntu 24.04"]
        await agent.say(volunteer=stream.Volunteer(spec=machine("a"), warnings=warnings))

        async def shows(expected: list[str]) -> bool:
            return list((await resource(service.stub, "a")).warnings) == expected

        await eventually(lambda: shows(warnings))
        await agent.say(volunteer=stream.Volunteer(spec=machine("a")))
        await eventually(lambda: shows([]))
        await agent.say(volunteer=stream.Volunteer(spec=machine("a"), warnings=["x"] * 17))
        assert (await agent.hear("refused")).reason == "BAD_REQUEST"


async def test_only_operators_may_tolerate_maintenance(service: Running) -> None:
    async with one_machine(service):
        request = pb.AllocateRequest(tolerate_maintenance=True)
        request.demands.hosts["h"].SetInParent()
        request.requestor.user = "eve"
        answer = await refusal(service.stub.Allocate(request).read())
        assert answer.code is grpc.StatusCode.PERMISSION_DENIED
        assert answer.reason == "NOT_OPERATOR"
        assert "'eve'" in answer.message


# Tolerating maintenance.

EVE = Policy(operators=frozenset({"eve"}))


def tolerant(*resources: str, **more: Any) -> pb.AllocateRequest:
    demands = wanting(**{f"h{n}": {"resource": name} for n, name in enumerate(resources)})
    requestor = Requestor(user="eve")
    return new_request(demands, requestor=requestor, tolerate_maintenance=True, **more)


async def test_operators_get_what_is_in_maintenance_and_nobody_else_does(redis_url: str) -> None:
    async with (
        allocate(redis_url, policy=EVE) as service,
        one_machine(service),
        asking(service.stub) as first,
    ):
        await first.until("ready")
        await drain(service)
        async with (
            asking(service.stub) as waiting,
            asking(service.stub, tolerant("a")) as operator,
        ):
            await first.release()
            await operator.until("ready")
            assert operator.allocation.tolerate_maintenance
            # It stays as it is when it is drained once more, and goes on with its hold.
            await drain(service, at_once=True)
            assert not [each for each in waiting.events if each != "queued"]
            shown = pb.GetAllocationRequest(allocation_id=operator.id)
            found = (await service.stub.GetAllocation(shown)).allocation
            assert found.state == ALLOCATION_STATE_READY
            assert not found.HasField("revoke_time")
            await operator.release()
            await eventually(lambda: in_maintenance(service))
            await enable(service)
            await waiting.until("ready")


async def test_a_set_of_what_is_out_of_service_is_granted_whole(redis_url: str) -> None:
    async with (
        allocate(redis_url, policy=EVE) as service,
        manager(service.stub, "m", [machine("a"), machine("b")]),
    ):
        await drain(service)
        request = pb.DrainResourceRequest(name="b")
        await service.stub.DrainResource(request, timeout=LIMIT_S)
        async with asking(service.stub, tolerant("a", "b")) as operator:
            await operator.until("ready")
            assert {host.hold.resource for host in operator.allocation.hosts.values()} == {"a", "b"}


async def test_a_set_is_made_of_what_is_out_of_service_and_of_what_is_not(redis_url: str) -> None:
    async with (
        allocate(redis_url, policy=EVE) as service,
        manager(service.stub, "m", [machine("a"), machine("b")]),
        asking(service.stub, new_request(wanting(h={"resource": "b"}))) as first,
    ):
        await first.until("ready")
        await drain(service)
        async with asking(service.stub, tolerant("a", "b")) as operator:
            await operator.waits_for("1 in use")
            await first.release()
            await operator.until("ready")
            assert {host.hold.resource for host in operator.allocation.hosts.values()} == {"a", "b"}
            # What it has is not to be had by anybody else.
            async with asking(service.stub) as waiting:
                await waiting.waits_for("in use")
                await operator.release()
                await waiting.until("ready")


async def test_what_operators_tolerate_still_counts_for_their_quota(redis_url: str) -> None:
    policy = replace(EVE, users={"eve": UserPolicy(quota=Quota(allocations=1))})
    async with (
        allocate(redis_url, policy=policy) as service,
        manager(service.stub, "m", [machine("a"), machine("b")]),
        asking(service.stub, tolerant("b")) as first,
    ):
        await first.until("ready")
        await drain(service)
        async with asking(service.stub, tolerant("a")) as second:
            await second.waits_for("allocations: 1 of 1 in use")
            await first.release()
            await second.until("ready")
