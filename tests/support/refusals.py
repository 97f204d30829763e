"""Reading why a call was refused."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from support.asking import LIMIT_S


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status with its details."""

    code: grpc.StatusCode
    reason: str
    metadata: dict[str, str]
    fields: list[str]
    """The fields of violations."""
    preconditions: dict[str, str]
    retry_ms: int | None
    message: str


def details_of(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """Return the details of a status by their kinds."""
    trailers = dict(error.trailing_metadata() or ())
    rich = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    found: dict[str, Any] = {}
    for packed in rich.details:
        kind = packed.type_url.rpartition(".")[2]
        found[kind] = getattr(error_details_pb2, kind)()
        packed.Unpack(found[kind])
    return found


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal:
    found = details_of(error)
    info = found["ErrorInfo"]
    assert info.domain == "hwprovisioner"
    bad, retry = found.get("BadRequest"), found.get("RetryInfo")
    failed = found.get("PreconditionFailure")
    return Refusal(
        code=error.code(),
        reason=info.reason,
        metadata=dict(info.metadata),
        fields=[violation.field for violation in bad.field_violations] if bad else [],
        preconditions={v.subject: v.description for v in failed.violations} if failed else {},
        retry_ms=retry.retry_delay.ToMilliseconds() if retry else None,
        message=error.details() or "",
    )


async def refusal(call: Awaitable[Any]) -> Refusal:
    """Await what is to be refused, and return how it was."""
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return refusal_of(failure.value)


async def refusal_in(call: Any) -> Refusal:
    """Read a stream to its end, and return how it was refused."""

    async def read_all() -> None:
        while await call.read() is not grpc.aio.EOF:
            pass

    async with asyncio.timeout(LIMIT_S):
        return await refusal(read_all())
