"""Refusals that a fake lab answers, with all that a client may read of them."""

from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from grpc_status import rpc_status  # type: ignore[import-untyped]

from hwprovisioner.v1 import heartbeat_service_pb2 as beats

Code = grpc.StatusCode


def seconds(value: float) -> Duration:
    return Duration(seconds=int(value), nanos=round(value % 1 * 1e9))


class Refusal(Exception):
    """What a scripted answer raises to have the call fail."""

    def __init__(
        self,
        code: grpc.StatusCode,
        message: str = "",
        reason: str = "",
        metadata: dict[str, str] | None = None,
        details: tuple[Message, ...] = (),
        retry_s: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.code = code
        found: list[Message] = list(details)
        if reason:
            info = ErrorInfo(reason=reason, domain="hwprovisioner", metadata=metadata or {})
            found.append(info)
        if retry_s:
            found.append(RetryInfo(retry_delay=seconds(retry_s)))
        self.status = Status(code=code.value[0], message=message)
        for detail in found:
            packed = AnyMessage()
            packed.Pack(detail)
            self.status.details.append(packed)

    async def abort(self, context: Any) -> NoReturn:
        await context.abort_with_status(rpc_status.to_status(self.status))
        raise AssertionError("abort returned")


AWAY = Refusal(Code.UNAVAILABLE, "the lab's Redis is away", "STATE_UNAVAILABLE")


def paused_for(paused_s: float, remaining_s: float = 100.0) -> Refusal:
    """Give what a replica answers that knows of a pause."""
    pause = beats.LeasePause(paused_for=seconds(paused_s), remaining=seconds(remaining_s))
    return Refusal(
        *(Code.UNAVAILABLE, "the lab's Redis is away", "STATE_UNAVAILABLE"), details=(pause,)
    )
