"""Serving: however a call fails, its caller is told as much as it may know."""

import asyncio
import logging
from typing import Any

import grpc
import grpc.aio
import pytest

from hwprovisioner.serving import MAX_REQUEST_BYTES
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import allocate_service_pb2_grpc
from hwprovisioner.v1 import manager_stream_pb2 as stream
from support.eventually import eventually
from support.failing_service import NAME, calls, ended
from support.grpc_server import Running
from support.refusals import details_of, refusal_of


def lab(running: Running) -> "allocate_service_pb2_grpc.AllocateServiceAsyncStub":
    return allocate_service_pb2_grpc.AllocateServiceStub(running.channel)


async def status_of_get(running: Running, name: str) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await lab(running).GetResource(pb.GetResourceRequest(name=name), timeout=10)
    return failure.value


async def test_a_refusal_is_answered_with_its_status(running: Running) -> None:
    error = await status_of_get(running, "refuse")
    assert (error.code(), error.details()) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "name: is not nice",
    )
    told = refusal_of(error)
    assert (told.reason, told.fields) == ("BAD_REQUEST", ["name"])


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
    assert "more" in details_of(error)["BadRequest"].field_violations[-1].description


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


async def test_a_stream_ends_though_its_first_write_was_given_up(running: Running) -> None:
    call = lab(running).Subscribe(timeout=10)
    withdraw = stream.Withdraw(reason="refuse in the middle of a write")
    await call.write(stream.SubscribeRequest(withdraw=withdraw))
    with pytest.raises(grpc.aio.AioRpcError, match="is not nice"):
        [_ async for _ in call]


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
    assert refusal_of(failure.value).reason == "BAD_REQUEST"


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
