"""What the lab says when it ends a stream."""

from __future__ import annotations

import contextlib

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from hwprovisioner.resourcemanager.errors import BadRegistration, RefusedByLab, Superseded

#: Connecting again with the same words would be answered the same.
_FINAL = frozenset(
    {
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


def words(error: grpc.aio.AioRpcError) -> str:
    """Return why a call ended, in one line."""
    details = " ".join((error.details() or "").split())
    return f"{error.code().name}: {details}" if details else error.code().name


def final_refusal(error: grpc.aio.AioRpcError) -> RefusedByLab | None:
    """Return why there is no use in connecting again; `None` if there is."""
    code = error.code()
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        message = f"the lab does not take this manager: {words(error)}"
        return BadRegistration(message, _violations(error))
    if code is grpc.StatusCode.ABORTED and _reason(error) == "SUPERSEDED":
        return superseded()
    if code in _FINAL:
        return RefusedByLab(f"the lab does not take this manager: {words(error)}")
    return None


def superseded() -> Superseded:
    """Return what there is to say when another manager has taken over."""
    return Superseded(
        "another resource manager has registered with this id and takes over; "
        "give each its own HWP_MANAGER_ID if both are meant to run"
    )


def _details(error: grpc.aio.AioRpcError) -> list[object]:
    # A peer may send anything here; what cannot be read says nothing.
    found: list[object] = []
    for name, value in error.trailing_metadata():
        if name == "grpc-status-details-bin":
            with contextlib.suppress(DecodeError):
                for detail in status_pb2.Status.FromString(value).details:
                    found += _unpacked(detail)
    return found


def _unpacked(detail: any_pb2.Any) -> list[object]:
    for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest):
        message = kind()
        if detail.Is(message.DESCRIPTOR) and detail.Unpack(message):
            return [message]
    return []


def _reason(error: grpc.aio.AioRpcError) -> str:
    infos = [one for one in _details(error) if isinstance(one, error_details_pb2.ErrorInfo)]
    return str(infos[0].reason) if infos else ""


def _violations(error: grpc.aio.AioRpcError) -> list[tuple[str, str]]:
    return [
        (str(violation.field), str(violation.description))
        for one in _details(error)
        if isinstance(one, error_details_pb2.BadRequest)
        for violation in one.field_violations
    ]
