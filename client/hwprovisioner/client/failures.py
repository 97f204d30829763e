"""From gRPC errors and end reasons to the SDK's exceptions: the inverse of the server's table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]
    BadRequest,
    ErrorInfo,
    PreconditionFailure,
    RetryInfo,
)
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from hwprovisioner.client.errors import (
    BadDemand,
    BookingConflict,
    LabError,
    LabUnavailable,
    LeaseLost,
    NotAllowed,
    NotFound,
    OverQuota,
    PrepareFailed,
    RevisionForgotten,
    Unsatisfiable,
    Violation,
    WaitTimeout,
    WrongHost,
)
from hwprovisioner.client.our_grpc import grpc
from hwprovisioner.client.words import word
from hwprovisioner.v1.allocation_pb2 import EndReason
from hwprovisioner.v1.heartbeat_service_pb2 import LeasePause

_Code = grpc.StatusCode
_CODES: Mapping[int, str] = {code.value[0]: code.name for code in grpc.StatusCode}

_BY_REASON: Mapping[str, type[LabError]] = {
    "NO_SUCH_HOST": WrongHost,
    "QUOTA_NEVER": OverQuota,
    "REVISION_FORGOTTEN": RevisionForgotten,
}
_BY_CODE: Mapping[str, type[LabError]] = {
    "INVALID_ARGUMENT": BadDemand,
    "NOT_FOUND": NotFound,
    "PERMISSION_DENIED": NotAllowed,
    "UNAUTHENTICATED": NotAllowed,
}

# The trailer that has a `google.rpc.Status`. grpcio-status would read it, too, but imports gRPC
# before `our_grpc` does; and imported late, in a process that ends by Ctrl-C, it made the exit
# status 1.
_STATUS = "grpc-status-details-bin"

# What gRPC itself says of a connection that broke in the middle of a call.
_BROKEN = ("rst_stream", "stream removed", "goaway", "connection reset", "socket closed")


@dataclass(frozen=True, slots=True)
class Report:
    """What a failed call said, decoded."""

    code: str
    message: str
    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)
    """From precondition violations: why each host cannot be had."""
    retry_delay_s: float = 0.0
    pause: LeasePause | None = None
    """How leases are paused, if a heartbeat was refused for that."""


def decode(error: grpc.aio.AioRpcError) -> Report:
    """Reads the status and its details; rubbish in the details is left out."""
    code, message = error.code(), error.details() or ""
    packed = dict(error.trailing_metadata() or ()).get(_STATUS, b"")
    try:
        status = Status.FromString(packed)
    except (TypeError, DecodeError):
        status = Status()
    if (status.code, status.message) != (code.value[0], message):
        return Report(code.name, message)
    return read_status(status)


def read_status(status: Status) -> Report:
    """Reads what a call failed with, or a part of one; rubbish in the details is left out."""
    info, bad, failed, retry = ErrorInfo(), BadRequest(), PreconditionFailure(), RetryInfo()
    pause = None
    for detail in status.details:
        for into in (info, bad, failed, retry):
            detail.Unpack(into)
        if detail.Is(LeasePause.DESCRIPTOR):
            pause = LeasePause()
            detail.Unpack(pause)
    return Report(
        _CODES.get(status.code, "UNKNOWN"),
        status.message,
        info.reason,
        dict(info.metadata),
        tuple(Violation(each.field, each.description) for each in bad.field_violations),
        {each.subject: each.description for each in failed.violations},
        retry.retry_delay.ToTimedelta().total_seconds(),
        pause,
    )


def from_rpc(error: grpc.aio.AioRpcError, address: str) -> LabError:
    """Gives the exception for a failed call.

    Args:
        error: As gRPC raised it.
        address: Where the call went, for the message.
    """
    report = decode(error)
    match report.code, report.reason:
        case _, "UNSATISFIABLE":
            return unsatisfiable(report)
        case _, "BOOKING_CONFLICT":
            return conflict(report)
        case "UNAVAILABLE" | "DEADLINE_EXCEEDED", _:
            return unavailable(report, address)
        case "ABORTED", "ALLOCATION_ENDED":
            return ended_lease(report, report.metadata.get("allocation_id", ""))
    kind = _BY_REASON.get(report.reason) or _BY_CODE.get(report.code) or LabError
    return _plain(kind, report)


def unsatisfiable(report: Report) -> Unsatisfiable:
    """Names each host and why it cannot be had."""
    return Unsatisfiable(
        _with_hosts(report) or "nothing that is registered could ever satisfy the demands",
        hosts=report.hosts,
        code=report.code,
        metadata=report.metadata,
    )


def conflict(report: Report) -> BookingConflict:
    """Names each host that cannot be booked and what stands in the way."""
    return BookingConflict(
        _with_hosts(report) or "the set cannot be promised for that time",
        hosts=report.hosts,
        code=report.code,
        metadata=report.metadata,
    )


def _with_hosts(report: Report) -> str:
    """Gives the message, completed by what it does not say of each host."""
    missing = [f"{host}: {why}" for host, why in report.hosts.items() if why not in report.message]
    if report.message and missing:
        return f"{report.message} ({'; '.join(missing)})"
    return report.message or "; ".join(missing)


def unavailable(report: Report, address: str) -> LabUnavailable:
    """Says which server does not answer, and what to look at."""
    if report.reason:
        message = f"the lab at {address} cannot answer now: {report.message}"
    else:
        message = (
            f"no lab answers at {address} ({report.message or report.code}); is it running"
            " (`hwp up`), and is the address right (ALLOCATE_API, HEARTBEAT_API)?"
        )
    return LabUnavailable(
        message,
        code=report.code,
        reason=report.reason or "NO_ANSWER",
        metadata={**report.metadata, "address": address},
    )


def ended_lease(report: Report, allocation_id: str) -> LeaseLost:
    """Gives the loss that an ABORTED heartbeat tells of."""
    reason = report.metadata.get("end_reason", "") or "ENDED"
    return LeaseLost(
        reason.removeprefix("END_REASON_"),
        report.metadata.get("end_detail", "") or report.message,
        report.metadata.get("allocation_id", "") or allocation_id,
        code=report.code,
    )


def from_end(reason: EndReason.ValueType, detail: str, allocation_id: str) -> LabError:
    """Gives the exception for an allocation that ended before its hosts were ready."""
    metadata = {"allocation_id": allocation_id, "detail": detail}
    match reason:
        case EndReason.END_REASON_WAIT_TIMEOUT:
            return WaitTimeout(
                f"allocation {allocation_id} was not granted in time:"
                f" {detail or 'it waited as long as it had said'}; wait longer, or ask for less"
                " (`hwp explain` says what there is)",
                reason="WAIT_TIMEOUT",
                metadata=metadata,
            )
        case EndReason.END_REASON_UNSATISFIABLE:
            return Unsatisfiable(
                detail or "nothing that is registered can satisfy the demands any longer",
                metadata=metadata,
            )
        case EndReason.END_REASON_PREPARE_FAILED:
            return PrepareFailed(
                f"the hosts of allocation {allocation_id} could not be readied up"
                f"{f': {detail}' if detail else ''}; see the resource manager's log",
                reason="PREPARE_FAILED",
                metadata=metadata,
            )
    return LeaseLost(end_word(reason), detail, allocation_id)


def end_word(reason: EndReason.ValueType) -> str:
    """Gives an end reason as SDK users read it: `EXPIRED`, `MAX_DURATION`."""
    return word(EndReason, reason).upper().replace("-", "_") or "ENDED"


def is_worth_retrying(error: grpc.aio.AioRpcError) -> bool:
    """Tells a server that is away, or a connection that broke, from an answer.

    gRPC reports a broken stream as UNAVAILABLE or, depending on how it broke, as CANCELLED,
    INTERNAL or UNKNOWN without any detail. Of too many new streams at once, a server refuses some
    with CANCELLED.
    """
    code = error.code()
    if code is _Code.UNAVAILABLE:
        return True
    if decode(error).reason:
        return False
    if code is _Code.CANCELLED:
        return True
    said = (error.details() or "").lower()
    return code in (_Code.INTERNAL, _Code.UNKNOWN) and any(sign in said for sign in _BROKEN)


def _plain(kind: type[LabError], report: Report) -> LabError:
    message = _with_hosts(report) or f"the lab answered {report.code}"
    for violation in report.violations:
        if violation.description not in message:
            message += f"; {violation.field}: {violation.description}"
    return kind(
        message,
        code=report.code,
        reason=report.reason,
        metadata=report.metadata,
        violations=report.violations,
    )
