"""What operators say of resources, and what becomes of it."""

from dataclasses import replace
from typing import Any

import grpc
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
    HEALTH_QUARANTINED,
)
from support.asking import LIMIT_S, asking, new_request, resource, wanting
from support.eventually import eventually
from support.fake_manager import machine, manager
from support.operating import enable, one_machine, quarantine
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


async def in_maintenance(service: Running) -> bool:
    state = (await resource(service.stub, "a")).admin_state
    return state == resource_pb2.ADMIN_STATE_MAINTENANCE


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
