import asyncio
import json
import logging
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from hwprovisioner.serving import (
    MAX_REQUEST_BYTES,
    BindError,
    Refused,
    Service,
    bad_request,
    bind,
)
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import allocate_service_pb2_grpc, manager_stream_pb2
from support import needs
from support.eventually import eventually
from support.grpc_server import Running, serving

NAME = pb.DESCRIPTOR.services_by_name["AllocateService"].full_name
PROGRAMS = Path(sys.executable).parent


ended: list[str] = []
#: Those whose callers leave while they are worked on.
calls: list[Any] = []


class Servicer(allocate_service_pb2_grpc.AllocateServiceServicer):
    """One method of each kind that fails as the request says."""

    async def GetResource(self, request: Any, context: Any) -> pb.GetResourceResponse:
        if calls:
            calls.pop().cancel()
            # gRPC finds out beside this loop, which must not know of it yet when it refuses.
            time.sleep(0.2)  # noqa: ASYNC251
        await fail(request.name, context)
        return pb.GetResourceResponse()

    async def WatchLab(self, request: Any, context: Any) -> AsyncIterator[pb.WatchLabResponse]:
        yield pb.WatchLabResponse(revision=1)
        await fail("refuse", context)

    async def WatchAllocation(self, request: Any, context: Any) -> None:  # type: ignore[override]
        await context.write(pb.WatchAllocationResponse())
        await fail(request.allocation_id, context)

    async def Subscribe(self, request_iterator: Any, context: Any) -> None:  # type: ignore[override]
        async for request in request_iterator:
            ping = manager_stream_pb2.Ping()
            await context.write(manager_stream_pb2.SubscribeResponse(ping=ping))
            await fail(request.withdraw.reason, context)


async def fail(how: str, context: Any) -> None:
    match how:
        case "refuse":
            raise bad_request([("name", "is not nice")])
        case "refuse in a group":
            async with asyncio.TaskGroup() as group:
                group.create_task(refuse())
        case "break":
            raise RuntimeError("the secret of the house")
        case "be left":
            raise ExceptionGroup("a write failed", [grpc.aio.InternalError("no way")])
        case "abort":
            await context.abort(grpc.StatusCode.DATA_LOSS, "as it says")
        case "wait":
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(how)
        case "many":
            raise bad_request([(f"hosts[{n}].cpus", "is negative") for n in range(10_000)])


async def refuse() -> None:
    raise Refused("NO_SUCH_RESOURCE", "gone")


def service() -> Service:
    servicer = Servicer()  # type: ignore[abstract]
    return Service(
        NAME,
        lambda server: allocate_service_pb2_grpc.add_AllocateServiceServicer_to_server(
            servicer, server
        ),
    )


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    async with serving(service()) as running:
        yield running


def lab(running: Running) -> "allocate_service_pb2_grpc.AllocateServiceAsyncStub":
    return allocate_service_pb2_grpc.AllocateServiceStub(running.channel)


async def status_of_get(running: Running, name: str) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await lab(running).GetResource(pb.GetResourceRequest(name=name), timeout=10)
    return failure.value


def error_info(error: grpc.aio.AioRpcError) -> Any:
    return details(error)[0]


def details(error: grpc.aio.AioRpcError) -> list[Any]:
    trailers = dict(error.trailing_metadata())
    rich = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    found = []
    for packed in rich.details:
        message = getattr(error_details_pb2, packed.type_url.rpartition(".")[2])()
        packed.Unpack(message)
        found.append(message)
    return found


async def test_a_refusal_is_answered_with_its_status(running: Running) -> None:
    error = await status_of_get(running, "refuse")
    assert (error.code(), error.details()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "name: is not nice",
    )
    info, bad = details(error)
    assert (info.reason, info.domain) == ("BAD_REQUEST", "hwprovisioner")
    assert bad.field_violations[0].field == "name"


async def test_a_refusal_in_a_task_group_is_answered_with_its_status(running: Running) -> None:
    error = await status_of_get(running, "refuse in a group")
    assert error.code() is grpc.StatusCode.NOT_FOUND


async def test_anything_else_is_logged_and_answered_without_details(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    error = await status_of_get(running, "break")
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(error)
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info
    assert "secret of the house" in str(record.exc_info[1])
    assert await lab(running).GetResource(pb.GetResourceRequest())


async def test_a_status_that_a_handler_chose_passes(running: Running) -> None:
    error = await status_of_get(running, "abort")
    assert (error.code(), error.details()) == (grpc.StatusCode.DATA_LOSS, "as it says")


async def test_very_many_violations_still_fit_into_the_trailers(running: Running) -> None:
    error = await status_of_get(running, "many")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "more" in details(error)[1].field_violations[-1].description


async def test_a_generator_may_refuse_after_responses(running: Running) -> None:
    call: Any = lab(running).WatchLab(pb.WatchLabRequest())
    assert (await call.read()).revision == 1
    with pytest.raises(grpc.aio.AioRpcError, match="is not nice"):
        await call.read()


async def test_a_stream_handler_that_writes_may_refuse(running: Running) -> None:
    call: Any = lab(running).WatchAllocation(pb.WatchAllocationRequest(allocation_id="refuse"))
    await call.read()
    with pytest.raises(grpc.aio.AioRpcError, match="is not nice"):
        await call.read()


async def test_a_cancelled_call_ends_its_handler_and_is_no_error(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    call = lab(running).WatchAllocation(pb.WatchAllocationRequest(allocation_id="wait"))
    assert await anext(aiter(call)) is not None
    call.cancel()
    await eventually(lambda: ended == ["wait"])
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_caller_that_left_while_it_was_written_to_is_no_fault(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    await status_of_get(running, "be left")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_caller_that_left_before_it_was_refused_is_no_fault(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    call = lab(running).GetResource(pb.GetResourceRequest(name="refuse"), timeout=10)
    calls.append(call)
    with pytest.raises(asyncio.CancelledError):
        await call
    await eventually(lambda: "the caller has gone" in caplog.text)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_what_is_no_message_is_a_bad_request(running: Running) -> None:
    call: Any = running.channel.unary_unary(f"/{NAME}/GetResource")
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call(b"\x0a\xff")
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(failure.value).reason == "BAD_REQUEST"


async def test_what_is_no_message_on_a_stream_is_a_bad_request(running: Running) -> None:
    call: Any = running.channel.stream_stream(f"/{NAME}/Subscribe")()
    await call.write(b"")
    assert await call.read()
    await call.write(b"\x0a\xff")
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call.read()
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_unknown_method_is_unimplemented(running: Running) -> None:
    call: Any = running.channel.unary_unary(f"/{NAME}/Nothing")
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call(b"")
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_request_of_ten_megabytes_reaches_the_handler(running: Running) -> None:
    await lab(running).GetResource(pb.GetResourceRequest(name="x" * 10_000_000), timeout=30)


async def test_a_request_over_the_limit_is_refused_and_the_server_lives_on(
    running: Running,
) -> None:
    error = await status_of_get(running, "x" * (MAX_REQUEST_BYTES + 1))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await lab(running).GetResource(pb.GetResourceRequest())


async def test_a_port_that_is_taken_is_reported_with_what_to_do(running: Running) -> None:
    other = grpc.aio.server()
    with pytest.raises(BindError) as failure:
        bind(other, "127.0.0.1", running.port, setting="HWP_ALLOCATE_PORT")
    for part in (str(running.port), "already in use", "HWP_ALLOCATE_PORT", "ss -ltnp"):
        assert part in str(failure.value)


async def test_an_address_that_is_not_here_is_reported() -> None:
    with pytest.raises(BindError, match="HWP_BIND"):
        bind(grpc.aio.server(), "192.0.2.1", 0, setting="HWP_ALLOCATE_PORT")


async def test_ipv6_is_bound_too() -> None:
    needs.ipv6()
    server = grpc.aio.server()
    assert bind(server, "::1", 0, setting="HWP_ALLOCATE_PORT") > 0


async def health_of(running: Running, name: str) -> int:
    stub = health_pb2_grpc.HealthStub(running.channel)
    status: int = (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status
    return status


async def test_health_follows_the_conditions_for_the_server_and_each_service() -> None:
    async with serving(service(), conditions=["redis"]) as running:
        for holds, status in ((False, 2), (True, 1), (False, 2)):
            running.readiness.report("redis", holds=holds)
            assert await health_of(running, "") == status
            assert await health_of(running, NAME) == status


async def test_the_health_of_an_unknown_service_is_not_found(running: Running) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await health_of(running, "other")
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND


async def test_every_watcher_is_told_of_changes_and_of_the_end() -> None:
    async with serving(service(), conditions=["redis"], grace_ms=60_000) as running:
        stub = health_pb2_grpc.HealthStub(running.channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest(service=NAME)) for _ in range(3)]
        assert [(await watch.read()).status for watch in watches] == [2, 2, 2]
        watches[0].cancel()
        running.readiness.report("redis", holds=True)
        assert [(await watch.read()).status for watch in watches[1:]] == [1, 1]
        running.stopping.set()
        assert [(await watch.read()).status for watch in watches[1:]] == [2, 2]
        assert [await watch.read() for watch in watches[1:]] == [grpc.aio.EOF, grpc.aio.EOF]


async def output_of(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        PROGRAMS / command[0], *command[1:], stdout=asyncio.subprocess.PIPE, stderr=-2
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_grpcurl_works_unaided(running: Running) -> None:
    grpcurl = ("grpcurl", "-plaintext", running.target)
    listed = await output_of(*grpcurl, "list")
    assert {NAME, "grpc.health.v1.Health"} <= set(listed.split())
    assert "rpc Subscribe" in await output_of(*grpcurl, "describe", NAME)
    checked = await output_of(*grpcurl, "grpc.health.v1.Health/Check")
    assert json.loads(checked) == {"status": "SERVING"}
    assert json.loads(await output_of(*grpcurl, f"{NAME}/GetResource")) == {}


async def test_buf_curl_works_unaided(running: Running) -> None:
    url = f"http://{running.target}"
    buf = ("buf", "curl", "--http2-prior-knowledge", "--protocol", "grpc")
    assert f"{NAME}/Subscribe" in await output_of(*buf, "--list-methods", url)
    assert json.loads(await output_of(*buf, "--data", "{}", f"{url}/{NAME}/GetResource")) == {}
