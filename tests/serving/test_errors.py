import ssl
from urllib.parse import quote

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from hwprovisioner.serving import CODES, Refused, bad_request, is_refusal, status_of
from hwprovisioner.serving.errors import Status


class Foreign(Exception):
    """As `state` defines its own."""

    reason = "NO_SUCH_RESOURCE"


def details(status: Status) -> dict[str, object]:
    rich = status_pb2.Status.FromString(status.trailing_metadata[0][1])
    assert rich.code == status.code.value[0]
    assert rich.message == status.details
    found: dict[str, object] = {}
    for packed in rich.details:
        name = packed.type_url.rpartition(".")[2]
        message = getattr(error_details_pb2, name)()
        assert packed.Unpack(message)
        found[name] = message
    return found


@pytest.mark.parametrize(("reason", "code"), CODES.items())
def test_every_reason_has_its_code_and_one_error_info(reason: str, code: grpc.StatusCode) -> None:
    status = status_of(Refused(reason, "why", metadata={"a": "b"}))
    info = details(status)["ErrorInfo"]
    assert status.code is code
    assert info == error_details_pb2.ErrorInfo(
        reason=reason, domain="hwprovisioner", metadata={"a": "b"}
    )


def test_a_reason_that_is_not_in_the_table_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="BECAUSE"):
        Refused("BECAUSE", "why")


def test_a_foreign_exception_may_be_a_refusal() -> None:
    assert is_refusal(Foreign())
    assert status_of(Foreign("gone")).details == "gone"


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        ssl.SSLError("x"),
        UnicodeDecodeError("utf-8", b"", 0, 1, "INVALID"),
        Refused("INTERNAL", "a fault"),
    ],
)
def test_other_exceptions_are_none(error: Exception) -> None:
    assert not is_refusal(error)


def test_wrong_fields_become_field_violations() -> None:
    found = details(status_of(bad_request([("a.b", "is negative"), ("c", "is empty")])))
    assert [(v.field, v.description) for v in found["BadRequest"].field_violations] == [  # type: ignore[attr-defined]
        ("a.b", "is negative"),
        ("c", "is empty"),
    ]


def test_preconditions_become_precondition_failures() -> None:
    refusal = Refused("UNSATISFIABLE", "no", preconditions=[("HOST", "db", "cpus: 4")])
    [violation] = details(status_of(refusal))["PreconditionFailure"].violations  # type: ignore[attr-defined]
    assert (violation.type, violation.subject, violation.description) == ("HOST", "db", "cpus: 4")


def test_what_is_not_found_is_named() -> None:
    refusal = Refused("NO_SUCH_RESOURCE", "no", metadata={"resource": "refb"})
    found = details(status_of(refusal))["ResourceInfo"]
    assert found == error_details_pb2.ResourceInfo(resource_type="resource", resource_name="refb")


@pytest.mark.parametrize(
    ("reason", "retry_after_ms", "expected_ms"),
    [("STOPPING", None, 1000), ("STATE_UNAVAILABLE", 250, 250), ("QUEUE_FULL", 5000, 5000)],
)
def test_when_to_try_again_is_said(reason: str, retry_after_ms: int, expected_ms: int) -> None:
    found = details(status_of(Refused(reason, "no", retry_after_ms=retry_after_ms)))
    assert found["RetryInfo"].retry_delay.ToMilliseconds() == expected_ms  # type: ignore[attr-defined]


def test_too_many_violations_are_cut_and_counted() -> None:
    many = [(f"hosts[{n}].cpus", "is negative") for n in range(10_000)]
    status = status_of(bad_request(many))
    violations = details(status)["BadRequest"].field_violations  # type: ignore[attr-defined]
    assert violations[-1].description == f"and {10_000 - len(violations) + 1} more"
    assert len(status.trailing_metadata[0][1]) < 6000
    assert len(status.details) == 1000


def test_what_is_not_ascii_and_many_metadata_fit_into_trailers_as_well() -> None:
    text = "Ünï" * 100_000
    metadata = {f"host-{number}": text for number in range(64)}
    rows = [("NEVER", name, text) for name in metadata]
    status = status_of(Refused("UNSATISFIABLE", text, metadata=metadata, preconditions=rows))
    [(_, trailer)] = status.trailing_metadata
    assert len(quote(status.details)) + len(trailer) * 4 / 3 < 8192
    found = details(status)
    assert found["ErrorInfo"].metadata["host-0"].startswith("Ünï")  # type: ignore[attr-defined]
    assert found["PreconditionFailure"].violations[-1].description.endswith("more")  # type: ignore[attr-defined]
