"""Waits that end badly, over real gRPC against a lab that the test scripts."""

import asyncio

import pytest
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]
    BadRequest,
    PreconditionFailure,
)

from hwprovisioner.client import (
    AsyncLab,
    BadDemand,
    LabError,
    LeaseLost,
    PrepareFailed,
    Unsatisfiable,
    Update,
    WaitTimeout,
)
from support.fake_lab import FakeLab
from support.fake_refusals import Code, Refusal
from support.session import waiting


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("WAIT_TIMEOUT", WaitTimeout),
        ("UNSATISFIABLE", Unsatisfiable),
        ("PREPARE_FAILED", PrepareFailed),
        ("REVOKED", LeaseLost),
        ("EXPIRED", LeaseLost),
    ],
)
async def test_an_end_before_ready_is_an_error_of_its_own(
    lab: AsyncLab, fake: FakeLab, reason: str, error: type[LabError]
) -> None:
    async with waiting(lab, fake, cpus=1) as (task, allocation):
        allocation.queue(3, "refb is in use")
        allocation.end(reason, "because of x")
        with pytest.raises(error, match=r"because of x.*place 3: refb is in use") as caught:
            await task
        assert caught.value.reason == reason
        assert not allocation.released.is_set()


async def test_an_unsatisfiable_demand_is_refused_with_a_reason_for_each_host(
    lab: AsyncLab, fake: FakeLab
) -> None:
    failure = PreconditionFailure.Violation(
        type="UNSATISFIABLE", subject="db", description="cpus: has 4, wants at least 64"
    )
    fake.refuse_allocate = Refusal(
        Code.FAILED_PRECONDITION,
        "nothing registered can be db",
        "UNSATISFIABLE",
        details=(PreconditionFailure(violations=[failure]),),
    )
    with pytest.raises(Unsatisfiable, match="wants at least 64") as caught:
        await lab.allocate(db={"cpus": 64}).__aenter__()
    assert caught.value.hosts == {"db": "cpus: has 4, wants at least 64"}


async def test_a_demand_that_the_lab_refuses_names_the_fields(lab: AsyncLab, fake: FakeLab) -> None:
    wrong = BadRequest.FieldViolation(field="demands.hosts[db].cpus", description="is no number")
    fake.refuse_allocate = Refusal(
        Code.INVALID_ARGUMENT,
        "the request is wrong",
        "BAD_REQUEST",
        details=(BadRequest(field_violations=[wrong]),),
    )
    with pytest.raises(BadDemand, match="is no number") as caught:
        await lab.allocate(db={"cpus": "many"}).__aenter__()
    assert caught.value.violations[0].field == "demands.hosts[db].cpus"
    assert caught.value.code == "INVALID_ARGUMENT"


async def test_whoever_is_cancelled_while_waiting_gives_the_place_up(
    lab: AsyncLab, fake: FakeLab
) -> None:
    async with waiting(lab, fake, cpus=1) as (task, allocation):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert allocation.released.is_set()


async def test_a_display_that_breaks_ends_the_wait_and_gives_the_place_up(
    lab: AsyncLab, fake: FakeLab
) -> None:
    def broken(update: Update) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await lab.allocate(cpus=1, on_update=broken).__aenter__()
    assert fake.only.released.is_set()


async def test_a_release_that_fails_is_logged_and_does_not_hide_the_result(
    lab: AsyncLab, fake: FakeLab, caplog: pytest.LogCaptureFixture
) -> None:
    async with lab.allocate(cpus=1):
        fake.refuse_release = Refusal(Code.INTERNAL, "a bug", "INTERNAL")
    assert "ends when its lease does" in caplog.text
