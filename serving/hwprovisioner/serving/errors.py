"""What a service answers when it refuses: one table of reasons, and the status that carries them.

An exception is a refusal if it says so itself (`Refusal`); `state` and others define their own and
need nothing from here. Nothing else in the suite names a status code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeGuard, runtime_checkable
from urllib.parse import quote

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

DOMAIN = "hwprovisioner"

CODES: Mapping[str, grpc.StatusCode] = {
    "BAD_REQUEST": grpc.StatusCode.INVALID_ARGUMENT,
    "REQUEST_ID_REUSED": grpc.StatusCode.INVALID_ARGUMENT,
    "NO_SUCH_ALLOCATION": grpc.StatusCode.NOT_FOUND,
    "NO_SUCH_RESOURCE": grpc.StatusCode.NOT_FOUND,
    "NO_SUCH_MANAGER": grpc.StatusCode.NOT_FOUND,
    "NO_SUCH_HOLD": grpc.StatusCode.NOT_FOUND,
    "NO_SUCH_HOST": grpc.StatusCode.NOT_FOUND,
    "NO_SUCH_CHANNEL": grpc.StatusCode.NOT_FOUND,
    "NAME_TAKEN": grpc.StatusCode.ALREADY_EXISTS,
    "UNSATISFIABLE": grpc.StatusCode.FAILED_PRECONDITION,
    "QUOTA_NEVER": grpc.StatusCode.FAILED_PRECONDITION,
    "BOOKING_CONFLICT": grpc.StatusCode.FAILED_PRECONDITION,
    "WRONG_STATE": grpc.StatusCode.FAILED_PRECONDITION,
    "NOT_READY": grpc.StatusCode.FAILED_PRECONDITION,
    "OVER_POLICY": grpc.StatusCode.FAILED_PRECONDITION,
    "WRONG_TOKEN": grpc.StatusCode.PERMISSION_DENIED,
    "NOT_OPERATOR": grpc.StatusCode.PERMISSION_DENIED,
    "ALLOCATION_ENDED": grpc.StatusCode.ABORTED,
    "STALE_FENCE": grpc.StatusCode.ABORTED,
    "SUPERSEDED": grpc.StatusCode.ABORTED,
    "DRIVER_FAILED": grpc.StatusCode.ABORTED,
    "CHANNEL_LOST": grpc.StatusCode.ABORTED,
    "NO_POWER_CONTROL": grpc.StatusCode.UNIMPLEMENTED,
    "NO_CONSOLE": grpc.StatusCode.UNIMPLEMENTED,
    "TOO_MANY_CHANNELS": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "QUEUE_FULL": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "STATE_UNAVAILABLE": grpc.StatusCode.UNAVAILABLE,
    "STOPPING": grpc.StatusCode.UNAVAILABLE,
    "REVISION_FORGOTTEN": grpc.StatusCode.OUT_OF_RANGE,
    "MANAGER_SILENT": grpc.StatusCode.DEADLINE_EXCEEDED,
    "NOT_READ": grpc.StatusCode.UNAVAILABLE,
    "INTERNAL": grpc.StatusCode.INTERNAL,
}
"""Every reason of the suite, and its code. A reason is never renamed: clients branch on it."""

_MISSING: Mapping[str, tuple[str, str]] = {
    "NO_SUCH_ALLOCATION": ("allocation", "allocation_id"),
    "NO_SUCH_RESOURCE": ("resource", "resource"),
    "NO_SUCH_MANAGER": ("manager", "manager_id"),
    "NO_SUCH_HOLD": ("hold", "hold_id"),
    "NO_SUCH_HOST": ("host", "host"),
}
"""What is not there by reason, and the name of the metadata that says which one."""

#: When to try again after UNAVAILABLE if the refusal does not say.
DEFAULT_RETRY_AFTER_MS = 1000

# gRPC refuses trailers above 8 KiB, and base64 makes what is in them a third longer.
_MESSAGE_LIMIT = 1000
_METADATA_LIMIT_BYTES = 1500
_DETAILS_LIMIT_BYTES = 4000
_ASCII = "".join(map(chr, range(0x20, 0x7F)))

Violation = tuple[str, str]
"""A field, and what is wrong with it."""

Precondition = tuple[str, str, str]
"""A type, a subject, and what is wrong with it."""


@runtime_checkable
class Refusal(Protocol):
    """An exception that is an answer to the caller, not a fault of ours.

    Optional attributes: ``metadata`` (`Mapping[str, str]`, every value that is in the message),
    ``violations`` (of `Violation`), ``preconditions`` (of `Precondition`), ``retry_after_ms``
    (`int`), ``details`` (messages of the service's own, small ones).
    """

    @property
    def reason(self) -> str:
        """One of `CODES`."""


class Refused(Exception):
    """A refusal of a service's own."""

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        preconditions: Sequence[Precondition] = (),
        retry_after_ms: int | None = None,
        details: Sequence[Message] = (),
    ) -> None:
        if reason not in CODES:
            raise ValueError(f"{reason} is not in the table of reasons")
        super().__init__(message)
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.preconditions = tuple(preconditions)
        self.retry_after_ms = retry_after_ms
        self.details = tuple(details)


def bad_request(violations: Sequence[Violation]) -> Refused:
    """Return the refusal of a request with wrong fields, one violation for each."""
    said = "; ".join(f"{field}: {description}" for field, description in violations)
    return Refused("BAD_REQUEST", said, violations=violations)


def is_refusal(error: BaseException) -> TypeGuard[Refusal]:
    """Say whether an exception is an answer to the caller.

    The reason must be in the table, and not INTERNAL, which is for faults: `ssl.SSLError` and
    `UnicodeDecodeError` have an attribute of that name, too.
    """
    return isinstance(error, Refusal) and error.reason in CODES and error.reason != "INTERNAL"


@dataclass(frozen=True)
class Status(grpc.Status):
    """What `grpc.aio.ServicerContext.abort_with_status` takes."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, bytes], ...]


def status_of(refusal: Refusal) -> Status:
    """Return a refusal as status with `google.rpc` details, as in `rich_status_of`."""
    rich = rich_status_of(refusal)
    trailers = (("grpc-status-details-bin", rich.SerializeToString()),)
    return Status(CODES[refusal.reason], rich.message, trailers)


def rich_status_of(refusal: Refusal) -> status_pb2.Status:
    """Return a refusal as `google.rpc.Status`, for a part of a call that goes on.

    A message over 1,000 characters (fewer if they are not ASCII), and violations beyond what fits
    into trailers, are cut, and say so. Metadata beyond that are left out.
    """
    code = CODES[refusal.reason]
    number: int = code.value[0]
    rich = status_pb2.Status(code=number, message=_shortened(str(refusal)))
    for detail in _details_of(refusal, code):
        rich.details.add().Pack(detail)
    return rich


def internal_error() -> Status:
    """Return what is answered in place of an exception that is nobody's business."""
    return status_of(Refused("INTERNAL", "internal error; the server's log says more"))


def _details_of(refusal: Refusal, code: grpc.StatusCode) -> Sequence[Message]:
    metadata: Mapping[str, str] = getattr(refusal, "metadata", None) or {}
    violations: Sequence[Violation] = getattr(refusal, "violations", ())
    preconditions: Sequence[Precondition] = getattr(refusal, "preconditions", ())
    retry_after_ms: int | None = getattr(refusal, "retry_after_ms", None)
    info = error_details_pb2.ErrorInfo(
        reason=refusal.reason, domain=DOMAIN, metadata=_fitting(metadata)
    )
    room = _DETAILS_LIMIT_BYTES - info.ByteSize()
    details: list[Message] = [info]
    if violations:
        bad = error_details_pb2.BadRequest()
        _fill(bad.field_violations, [{"field": f, "description": d} for f, d in violations], room)
        details.append(bad)
    if preconditions:
        failed = error_details_pb2.PreconditionFailure()
        rows = [{"type": t, "subject": s, "description": d} for t, s, d in preconditions]
        _fill(failed.violations, rows, room)
        details.append(failed)
    if refusal.reason in _MISSING:
        kind, key = _MISSING[refusal.reason]
        name = info.metadata.get(key, "")
        details.append(error_details_pb2.ResourceInfo(resource_type=kind, resource_name=name))
    if retry_after_ms is None and code is grpc.StatusCode.UNAVAILABLE:
        retry_after_ms = DEFAULT_RETRY_AFTER_MS
    if retry_after_ms is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(retry_after_ms)
        details.append(retry)
    details += getattr(refusal, "details", ())
    return details


def _fitting(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the first of the metadata, as many as fit."""
    found = {}
    room = _METADATA_LIMIT_BYTES
    for name, value in metadata.items():
        shortened = _shortened(value)
        room -= len(name.encode()) + len(shortened.encode()) + 8
        if room < 0:
            break
        found[name] = shortened
    return found


def _fill(repeated: "_Rows", rows: Sequence[Mapping[str, str]], room: int) -> None:
    """Add rows as long as they fit, then one that says how many are missing."""
    for done, row in enumerate(rows):
        shortened = {name: _shortened(value) for name, value in row.items()}
        room -= sum(len(value.encode()) + 4 for value in shortened.values())
        if room < 0 and done:
            repeated.add(description=f"and {len(rows) - done} more")
            return
        repeated.add(**shortened)


class _Rows(Protocol):
    def add(self, **fields: str) -> object: ...


def _shortened(text: str) -> str:
    """Return as much of a text as fits; messages are sent percent-encoded."""
    kept = text[:_MESSAGE_LIMIT]
    while (size := len(quote(kept, safe=_ASCII))) > _MESSAGE_LIMIT:
        kept = kept[: len(kept) * _MESSAGE_LIMIT // size]
    return text if len(kept) == len(text) else kept[:-1] + "…"
