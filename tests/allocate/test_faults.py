"""Redis goes away, forgets, keeps silent; the server stops; a watcher does not read."""

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import manager_stream_pb2 as stream
from hwprovisioner.v1.allocation_pb2 import ALLOCATION_STATE_READY
from support.asking import asking, new_request, watching
from support.eventually import eventually
from support.fake_manager import ignore, machine, manager
from support.redis_server import RedisServer, running
from support.refusals import refusal, refusal_in, refusal_of
from support.services import Running, allocate


@pytest.fixture
def durable() -> Iterator[RedisServer]:
    with running(durable=True) as server:
        yield server


async def health(service: Running) -> str:
    stub = health_pb2_grpc.HealthStub(service.channel)
    status = (await stub.Check(health_pb2.HealthCheckRequest())).status
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(status))


async def is_serving(service: Running) -> bool:
    return await health(service) == "SERVING"


async def is_not_serving(service: Running) -> bool:
    return await health(service) == "NOT_SERVING"


async def test_a_redis_outage_longer_than_a_lease_ends_nothing(durable: RedisServer) -> None:
    loop = asyncio.get_running_loop()
    async with allocate(durable.url) as service:
        async with (
            manager(service.stub, "m", [machine("a"), machine("b")]) as agent,
            asking(service.stub, lease_ttl=2) as asked,
        ):
            await asked.until("ready")
            held = asked.allocation.hosts["host"].hold
            durable.kill()
            began = loop.time()
            await eventually(lambda: is_not_serving(service))
            while loop.time() < began + 2.5:
                answer = await refusal(service.stub.ListResources(pb.ListResourcesRequest()))
                assert answer.code is grpc.StatusCode.UNAVAILABLE
                assert answer.reason == "STATE_UNAVAILABLE"
                assert answer.retry_ms
            refused = await refusal(service.stub.Allocate(new_request()).read())
            assert refused.reason == "STATE_UNAVAILABLE"
            durable.start()
            await eventually(lambda: is_serving(service))
            async with watching(service.stub, asked.id, asked.token) as again:
                assert again.events == ["ready"]
                assert again.allocation.hosts["host"].hold == held
            await eventually(lambda: has_lease(service, asked.id))
            agent.cut()
        hold = stream.HeldHold(hold=stream.HoldRef(hold_id=held.id, fence=held.fence))
        async with manager(service.stub, "m", [machine("a"), machine("b")], holds=[hold]):
            async with asking(service.stub) as other:
                await other.until("ready")
                assert other.allocation.hosts["host"].hold.resource == "b"


async def has_lease(service: Running, allocation_id: str) -> bool:
    request = pb.GetAllocationRequest(allocation_id=allocation_id)
    found = (await service.stub.GetAllocation(request)).allocation
    assert found.state == ALLOCATION_STATE_READY
    return bool(found.remaining_lease.ToMilliseconds())


async def test_allocate_waits_for_a_redis_that_is_away_at_the_start(durable: RedisServer) -> None:
    durable.kill()
    async with allocate(durable.url, wait_ready=False) as service:
        assert await is_not_serving(service)
        answer = await refusal(service.stub.Allocate(new_request()).read())
        assert (answer.reason, answer.retry_ms) == ("STATE_UNAVAILABLE", 500)
        durable.start()
        await eventually(lambda: is_serving(service))
        async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as asked:
            await asked.until("ready")


async def test_a_server_that_just_started_does_not_call_anything_unknown(redis_url: str) -> None:
    async with allocate(redis_url) as first:
        async with manager(first.stub, "m", [machine("a")]), asking(first.stub) as asked:
            await asked.until("ready")
    held = asked.allocation.hosts["host"].hold
    journal = [stream.HeldHold(hold=stream.HoldRef(hold_id=held.id, fence=held.fence))]
    async with allocate(redis_url, wait_ready=False) as second:
        async with manager(second.stub, "m", [machine("a")], holds=journal) as agent:
            async with watching(second.stub, asked.id) as again:
                assert again.events == ["ready"]
            assert not [m for m in agent.heard if m.HasField("refused") or m.HasField("release")]


async def test_leases_end_in_time_when_notifications_are_off(
    service: Running, redis_server: RedisServer
) -> None:
    async with (
        manager(service.stub, "m", [machine("a")]),
        asking(service.stub, lease_ttl=1) as asked,
    ):
        await asked.until("ready")
        assert redis_server.command('CONFIG SET notify-keyspace-events ""') == b"+OK\r\n"
        assert await asked.ended() == "EXPIRED"


async def test_scripts_that_redis_forgot_keep_the_order_of_messages(
    service: Running, redis_server: RedisServer
) -> None:
    async with manager(service.stub, "m", [machine("a"), machine("b")], policy=ignore) as agent:
        async with asking(service.stub) as first:
            offer = await agent.hear("offer")
            agent.cleans = False
            async with asking(service.stub) as second:
                other = await agent.hear("offer")
                assert redis_server.command("SCRIPT FLUSH") == b"+OK\r\n"
                # Now `fail` is loaded again before `accept` is.
                await agent.say(failed=stream.Failed(hold=offer.hold))
                await first.until("queued")
                await agent.say(accept=stream.Accept(hold=other.hold))
                await agent.say(failed=stream.Failed(hold=other.hold))
                await agent.say(accept=stream.Accept(hold=stream.HoldRef(hold_id="a.99", fence=99)))
                # What comes after a failure would be refused before this.
                assert (await agent.hear("refused")).hold_id == "a.99"
                await second.until("queued")


async def registration(service: Running, manager_id: str) -> str:
    """Register, and return what becomes of it: an event, or the reason of a refusal."""
    call: Any = service.stub.Subscribe()
    try:
        await call.write(stream.SubscribeRequest(register=stream.Register(manager_id=manager_id)))
        await call.read()
        return str((await call.read()).WhichOneof("event"))
    except grpc.aio.AioRpcError as error:
        return refusal_of(error).reason
    finally:
        call.cancel()


async def test_a_manager_registers_again_with_a_lab_that_lost_everything(
    service: Running, redis_server: RedisServer
) -> None:
    async with manager(service.stub, "m"):
        pass
    async with manager(service.stub, "m", [machine("a")]) as agent:
        assert redis_server.command("FLUSHALL") == b"+OK\r\n"
        await agent.volunteer(machine("a"))
        error = await agent.status()
        assert error is not None
        assert refusal_of(error).reason == "STATE_UNAVAILABLE", "SUPERSEDED would end it for good"
    # The view shows the lab that was for up to a second more.
    while (answer := await registration(service, "m")) != "ping":
        assert answer == "STATE_UNAVAILABLE"
    async with manager(service.stub, "m", [machine("a")]), asking(service.stub) as asked:
        await asked.until("ready")


async def test_a_stop_ends_all_open_streams_with_stopping(redis_url: str) -> None:
    async with allocate(redis_url) as service:
        listed = await service.stub.ListManagers(pb.ListManagersRequest())
        async with (
            manager(service.stub, "m", [machine("a")]) as agent,
            asking(service.stub) as asked,
            asking(service.stub) as queued,
        ):
            await asked.until("ready")
            async with watching(service.stub, asked.id) as watcher:
                since = pb.WatchLabRequest(after_revision=listed.revision)
                feed: Any = service.stub.WatchLab(since)
                await feed.read()
                service.stopping.set()
                for each in (asked, queued, watcher):
                    answer = await refusal(each.until("ended"))
                    assert (answer.code, answer.reason) == (
                        grpc.StatusCode.UNAVAILABLE,
                        "STOPPING",
                    )
                    assert answer.retry_ms
                assert (await refusal_in(feed)).reason == "STOPPING"
                error = await agent.status()
                assert error is not None
                assert refusal_of(error).reason == "STOPPING"


async def test_a_stop_does_not_wait_for_a_manager_that_never_registered(redis_url: str) -> None:
    async with allocate(redis_url) as service:
        call = service.stub.Subscribe()
        await service.stub.ListManagers(pb.ListManagersRequest())
        service.stopping.set()
        assert (await refusal_in(call)).reason == "STOPPING"


async def test_a_manager_that_does_not_register_is_silent(redis_url: str) -> None:
    async with allocate(redis_url, silence_ms=100) as service:
        assert (await refusal_in(service.stub.Subscribe())).reason == "MANAGER_SILENT"


async def test_a_watcher_that_does_not_read_keeps_only_the_newest_lines(service: Running) -> None:
    lines = 3000
    async with manager(service.stub, "m", [machine("a")], policy=ignore) as agent:
        async with asking(service.stub) as asked:
            hold = (await agent.hear("offer")).hold
            await agent.say(accept=stream.Accept(hold=hold))
            for number in range(lines):
                line = f"{number} ".ljust(1000, ".")
                await agent.say(progress=stream.Progress(hold=hold, message=line))
            await agent.say(ready=stream.Ready(hold=hold))
            await eventually(lambda: is_ready(service, asked.id))
            await asked.until("ready")
            told = [u.preparing.message for u in asked.updates if u.preparing.message]
            assert told[-1].startswith(f"{lines - 1} ")
            assert len(told) < lines


async def is_ready(service: Running, allocation_id: str) -> bool:
    request = pb.GetAllocationRequest(allocation_id=allocation_id)
    return bool(
        (await service.stub.GetAllocation(request)).allocation.state == ALLOCATION_STATE_READY
    )
