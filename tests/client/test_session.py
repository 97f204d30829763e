"""An allocation from request to release, over real gRPC against a lab that the test scripts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import (  # type: ignore[import-untyped]
    BadRequest,
    PreconditionFailure,
)

from hwprovisioner.client import (
    AsyncHardware,
    AsyncLab,
    BadDemand,
    LabError,
    LabUnavailable,
    LeaseLost,
    NotFound,
    Phase,
    PrepareFailed,
    RevisionForgotten,
    Settings,
    Unsatisfiable,
    Update,
    WaitTimeout,
    WrongHost,
)
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.heartbeat_service_pb2 import Notice, NoticeKind
from hwprovisioner.v1.resource_pb2 import Resource, ResourceSpec
from support.eventually import eventually
from support.fake_lab import AWAY, Code, FakeAllocation, FakeLab, Refusal
from support.fake_time import FakeTime


def stay(allocation: FakeAllocation) -> None:
    """What `on_submit` is when the test itself moves the allocation."""


@contextlib.asynccontextmanager
async def waiting(lab: AsyncLab, fake: FakeLab, **asked: Any) -> AsyncIterator[Any]:
    """Ask in a task of its own; gives the task and the allocation once it is queued."""
    fake.on_submit = stay
    block = lab.allocate(**asked)
    task = asyncio.ensure_future(block.__aenter__())
    try:
        await eventually(lambda: fake.allocations and fake.only.beats)
        yield task, fake.only
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, LabError):
            await task
        await block.abandon()


# -- the happy path -----------------------------------------------------------------------------


async def test_a_block_gets_hosts_and_gives_them_back(lab: AsyncLab, fake: FakeLab) -> None:
    async with lab.allocate(db={"cpus": 8}, edge={"resource": "jetson-1"}) as hardware:
        assert dict(hardware.resources) == {"db": "res-1", "edge": "jetson-1"}
        assert (hardware["db"].cpus, hardware["db"].kind) == (4, "physical-server")
        assert hardware["edge"].address == "localhost"
        assert not fake.only.released.is_set()
    assert fake.only.released.is_set()
    assert fake.only.request.requestor.host
    assert fake.only.request.demands.hosts["db"].cpus == "8"


async def test_what_happens_while_it_waits_is_told_in_order(lab: AsyncLab, fake: FakeLab) -> None:
    told: list[Update] = []
    async with waiting(lab, fake, cpus=4, on_update=told.append) as (task, allocation):
        allocation.queue(2, "refb is in use")
        allocation.queue(2, "refb is in use")
        allocation.queue(1, "refb is in use")
        allocation.prepare()
        allocation.prepare("host", "boots")
        allocation.ready()
        hardware = await task
        assert hardware.waited_s > 0
    news = [(u.phase, u.place, u.message) for u in told if not u.repeated]
    assert news[-5:] == [
        (Phase.QUEUED, 2, "refb is in use"),
        (Phase.QUEUED, 1, "refb is in use"),
        (Phase.PREPARING, 0, ""),
        (Phase.PREPARING, 0, "boots"),
        (Phase.READY, 0, ""),
    ]


async def test_it_is_told_when_the_wait_is_expected_to_end(lab: AsyncLab, fake: FakeLab) -> None:
    told: list[Update] = []
    expected, likely = (Timestamp(seconds=4_900_000_000 + n) for n in (0, 600))
    async with waiting(lab, fake, cpus=4, on_update=told.append) as (_, allocation):
        allocation.queue(2, "in use", expected_time=expected)
        allocation.queue(2, "in use", expected_time=expected, likely_time=likely)
        await eventually(lambda: told[-1].likely)
    news = [(u.expected, u.likely) for u in told if not u.repeated]
    assert news[-2:] == [
        (expected.ToDatetime(UTC), None),
        (expected.ToDatetime(UTC), likely.ToDatetime(UTC)),
    ]


async def test_copies_of_a_host_are_found_by_its_name(lab: AsyncLab) -> None:
    async with lab.allocate(db={"count": 11}, edge={}) as hardware:
        assert [host.name for host in hardware.copies("db")] == [f"db-{n}" for n in range(1, 12)]
        assert hardware.copies("edge") == (hardware["edge"],)
        assert hardware["db-2"].name == "db-2"
        with pytest.raises(WrongHost, match="did you mean 'edge'"):
            hardware.copies("edgee")
        with pytest.raises(WrongHost, match="did you mean 'db-"):
            hardware["db"]


async def test_options_reach_the_lab(lab: AsyncLab, fake: FakeLab) -> None:
    async with lab.allocate(
        cpus=1, priority=5, wait="2m", lease_ttl=10, max_duration="1h", request_id="r" * 20
    ):
        request = fake.only.request
    assert (request.priority, request.request_id) == (5, "r" * 20)
    spans = (request.wait_timeout, request.lease_ttl, request.max_duration)
    assert [span.seconds for span in spans] == [120, 10, 3600]


async def test_a_wrong_host_is_told_with_the_right_ones(lab: AsyncLab) -> None:
    async with lab.allocate(db={}, edge={}) as hardware:
        with pytest.raises(WrongHost, match="did you mean 'db'"):
            hardware["dbb"]
        with pytest.raises(WrongHost, match=r"hardware\['db'\]"):
            _ = hardware.host
        assert [host.name for host in hardware] == ["db", "edge"]
        assert len(hardware) == 2


async def test_released_by_hand_means_over_and_no_error_at_the_end(
    lab: AsyncLab, fake: FakeLab
) -> None:
    async with lab.allocate(cpus=1) as hardware:
        await hardware.release()
        await hardware.release()
        assert fake.only.released.is_set()
        with pytest.raises(LeaseLost, match="RELEASED"):
            hardware.check()


async def test_a_failing_block_gives_back_and_its_own_error_comes_out(
    lab: AsyncLab, fake: FakeLab
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with lab.allocate(cpus=1):
            raise ZeroDivisionError
    assert fake.only.released.is_set()


# -- heartbeats ---------------------------------------------------------------------------------


async def test_it_beats_while_it_waits_and_when_the_lab_says(
    timed_lab: AsyncLab, fake: FakeLab, clock: FakeTime
) -> None:
    fake.next_beat_s = 7.0
    async with waiting(timed_lab, fake, cpus=1) as (_, allocation):
        await eventually(lambda: 7.0 in clock.due_s)
        clock.pass_by(6.5)
        assert allocation.beats == 1
        clock.pass_by(0.5)
        await eventually(lambda: allocation.beats == 2)


async def hold(lab: AsyncLab, fake: FakeLab) -> tuple[Any, AsyncHardware, list[LeaseLost]]:
    block = lab.allocate(cpus=1)
    hardware = await block.__aenter__()
    lost: list[LeaseLost] = []
    hardware.on_lost(lost.append)
    await eventually(lambda: hardware.beats)
    return block, hardware, lost


async def test_past_its_own_deadline_the_holder_stops_without_asking_anybody(
    timed_lab: AsyncLab, fake: FakeLab, clock: FakeTime
) -> None:
    block, hardware, lost = await hold(timed_lab, fake)
    fake.refuse_beat = AWAY
    clock.pass_by(31)  # As after SIGSTOP and SIGCONT: one jump.
    with pytest.raises(LeaseLost) as caught:
        await hardware.host.run("true")
    assert caught.value.reason == "LEASE_LAPSED"
    await eventually(lambda: lost)
    fake.refuse_beat = None
    clock.pass_by(10)
    await block.__aexit__(None, None, None)
    assert fake.only.released.is_set(), "the lab may still hold it"
    assert (len(lost), fake.only.beats) == (1, 1), "told once, and no beat after it"


async def test_a_heartbeat_service_that_is_away_for_less_than_the_lease_is_not_noticed(
    timed_lab: AsyncLab, fake: FakeLab, clock: FakeTime
) -> None:
    block, hardware, lost = await hold(timed_lab, fake)
    fake.refuse_beat = AWAY
    beats = fake.only.beats
    clock.pass_by(10)
    await eventually(lambda: hardware.session.lease.trouble)
    fake.refuse_beat = None

    def let_time_pass() -> bool:
        clock.pass_by(0.05)
        return fake.only.beats > beats

    await eventually(let_time_pass)
    hardware.check()
    assert not lost
    await block.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (Refusal(Code.PERMISSION_DENIED, "not yours", "WRONG_TOKEN"), "WRONG_TOKEN"),
        (Refusal(Code.NOT_FOUND, "forgotten", "NO_SUCH_ALLOCATION"), "NO_SUCH_ALLOCATION"),
        (
            Refusal(
                Code.ABORTED,
                "over",
                "ALLOCATION_ENDED",
                {"end_reason": "MAX_DURATION", "end_detail": "an hour is over"},
            ),
            "MAX_DURATION",
        ),
    ],
)
async def test_a_heartbeat_that_is_refused_means_lost(
    timed_lab: AsyncLab, fake: FakeLab, clock: FakeTime, refusal: Refusal, reason: str
) -> None:
    block, hardware, lost = await hold(timed_lab, fake)
    fake.refuse_beat = refusal
    clock.pass_by(10)
    await eventually(lambda: lost)
    assert lost[0].reason == reason
    with pytest.raises(LeaseLost):
        hardware["host"]
    await block.abandon()


async def test_the_end_on_the_stream_is_told_to_the_holder_once(
    lab: AsyncLab, fake: FakeLab
) -> None:
    lost: list[LeaseLost] = []
    with pytest.raises(LeaseLost, match="a bigger fish"):  # noqa: PT012  # at the end of the block
        async with lab.allocate(cpus=1) as hardware:
            hardware.on_lost(lost.append)
            fake.only.end("PREEMPTED", "a bigger fish")
            await eventually(lambda: lost)
            hardware.on_lost(lost.append)
    assert [loss.reason for loss in lost] == ["PREEMPTED", "PREEMPTED"]


async def test_a_holder_that_was_told_by_an_exception_is_not_told_again_at_the_end(
    lab: AsyncLab, fake: FakeLab
) -> None:
    async with lab.allocate(cpus=1) as hardware:
        fake.only.end("REVOKED")
        await eventually(lambda: hardware.lost)
        with pytest.raises(LeaseLost):
            hardware.check()


async def test_a_running_command_is_stopped_when_the_lease_is_lost(
    lab: AsyncLab, fake: FakeLab
) -> None:
    async with lab.allocate(cpus=1) as hardware:
        running = asyncio.ensure_future(hardware.host.run("sleep 600"))
        await asyncio.sleep(0)
        fake.only.end("PREEMPTED", "a bigger fish")
        with pytest.raises(LeaseLost, match="a bigger fish"):
            await running


async def test_notices_are_passed_on_once(lab: AsyncLab, fake: FakeLab) -> None:
    told: list[Notice] = []
    near = NoticeKind.NOTICE_KIND_MAX_DURATION_NEAR
    preemption = NoticeKind.NOTICE_KIND_PREEMPTION
    fake.notices = [
        Notice(kind=NoticeKind.NOTICE_KIND_DRAINING, message="finish soon"),
        Notice(kind=near, message="ends in 2 s"),
        Notice(kind=near, message="ends in 1 s"),
        Notice(kind=preemption, message="gives way in 2 s"),
        Notice(kind=preemption, message="gives way in 1 s"),
    ]
    fake.next_beat_s = 0.01
    async with lab.allocate(cpus=1, on_notice=told.append) as hardware:
        await eventually(lambda: hardware.beats > 3)
    messages = [notice.message for notice in told]
    assert messages == ["finish soon", "ends in 2 s", "gives way in 2 s"]


async def test_hosts_are_handed_over_only_once_the_lease_is_proven_to_live(
    timed_lab: AsyncLab, fake: FakeLab, clock: FakeTime
) -> None:
    async with waiting(timed_lab, fake, cpus=1) as (task, allocation):
        fake.refuse_beat = AWAY
        clock.pass_by(60)
        allocation.ready()
        await eventually(lambda: any(0 < due < 0.2 for due in clock.due_s))
        assert not task.done()
        fake.refuse_beat = None

        def let_time_pass() -> bool:
            clock.pass_by(0.1)
            return bool(task.done())

        await eventually(let_time_pass)
        (await task).check()


# -- streams that break ---------------------------------------------------------------------------


async def test_a_lost_stream_is_taken_up_again_by_a_watch(lab: AsyncLab, fake: FakeLab) -> None:
    async with waiting(lab, fake, cpus=1) as (task, allocation):
        allocation.lose_streams()
        await eventually(lambda: fake.watch_calls and allocation.listeners)
        allocation.ready()
        assert (await task).host.resource == "res-1"
    assert fake.allocate_calls == 1


async def test_a_request_that_got_no_answer_is_sent_again_with_the_same_id(
    lab: AsyncLab, fake: FakeLab
) -> None:
    fake.refuse_allocate = Refusal(Code.UNAVAILABLE, "stopping", "STOPPING")
    told: list[Update] = []
    task = asyncio.ensure_future(lab.allocate(cpus=1, on_update=told.append).__aenter__())
    await eventually(lambda: fake.allocate_calls >= 2)
    fake.refuse_allocate = None
    hardware = await task
    assert len(fake.allocations) == 1
    assert told[0].phase is Phase.AWAY
    await hardware.release()


async def test_a_stream_lost_while_the_hosts_are_in_use_harms_nobody(
    lab: AsyncLab, fake: FakeLab
) -> None:
    async with lab.allocate(cpus=1) as hardware:
        fake.refuse_watch = Refusal(Code.NOT_FOUND, "what?", "NO_SUCH_ALLOCATION")
        fake.only.lose_streams()
        await eventually(lambda: fake.watch_calls)
        assert (await hardware.host.run("echo yes")).stdout == "yes\n"


async def test_only_a_lab_that_is_away_is_asked_again(lab: AsyncLab, fake: FakeLab) -> None:
    fake.refuse_allocate = Refusal(Code.INTERNAL, "a bug", "INTERNAL")
    with pytest.raises(LabError, match="a bug"):
        async with lab.allocate(cpus=1):
            pass
    assert fake.allocate_calls == 1


async def test_a_lab_that_never_answers_is_given_up(
    timed_lab: AsyncLab, fake: FakeLab, clock: FakeTime
) -> None:
    fake.mute_allocate = True
    task = asyncio.ensure_future(timed_lab.allocate(cpus=1).__aenter__())
    await eventually(lambda: fake.allocate_calls)
    clock.pass_by(timed_lab.settings.contact_limit_s)
    with pytest.raises(LabUnavailable, match="nothing was heard"):
        await task


async def test_a_lab_that_is_not_there_is_named_with_what_to_look_at() -> None:
    settings = Settings(allocate_address="127.0.0.1:9", contact_limit_s=0.0)
    with pytest.raises(LabUnavailable, match=r"127.0.0.1:9 .*hwp up.*ALLOCATE_API"):
        await AsyncLab(settings=settings).explain(cpus=1)


# -- waits that end badly -------------------------------------------------------------------------


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


# -- the rest of the surface --------------------------------------------------------------------


async def test_lists_come_whole_with_the_revision_of_the_first_page(
    lab: AsyncLab, fake: FakeLab
) -> None:
    fake.resources = [Resource(spec=ResourceSpec(name=f"r{n}")) for n in range(5)]
    listing = await lab.list_resources(demand={"cpus": 1}, free=True)
    assert [resource.spec.name for resource in listing] == ["r0", "r1", "r2", "r3", "r4"]
    assert (listing.revision, len(listing), fake.unary_calls) == (7, 5, 3)


async def test_a_unary_call_is_sent_again_while_the_lab_is_away(
    lab: AsyncLab, fake: FakeLab
) -> None:
    fake.refuse_unary = [AWAY, AWAY]
    assert (await lab.explain(cpus=1)).availability == pb.Availability.AVAILABILITY_NOW
    assert fake.unary_calls == 3


async def test_unknown_things_are_not_found(lab: AsyncLab) -> None:
    with pytest.raises(NotFound):
        await lab.get_resource("x")
    with pytest.raises(NotFound):
        await lab.get_allocation("x")
    with pytest.raises(BadDemand, match="did you mean 'queued'"):
        await lab.list_allocations(states=["qeued"])


async def test_changes_are_told_without_gaps_over_lost_streams(
    lab: AsyncLab, fake: FakeLab
) -> None:
    change = pb.WatchLabResponse
    fake.changes = [
        change(revision=3),
        Refusal(Code.UNAVAILABLE, "gone"),
        change(revision=3),
        change(revision=4),
        Refusal(Code.OUT_OF_RANGE, "too old", "REVISION_FORGOTTEN", {"oldest_revision": "9"}),
    ]
    seen = []
    with pytest.raises(RevisionForgotten) as caught:  # noqa: PT012  # in the middle of the loop
        async for told in lab.watch_lab(after_revision=2):
            seen.append(told.revision)
    assert seen == [3, 4]
    assert caught.value.metadata["oldest_revision"] == "9"


async def test_an_allocation_can_be_watched_beaten_for_and_released_by_its_token(
    lab: AsyncLab, fake: FakeLab
) -> None:
    async with waiting(lab, fake, cpus=1) as (task, allocation):
        assert (await lab.heartbeat(allocation.id, allocation.token)).remaining_lease.seconds == 30
        watched = lab.watch_allocation(allocation.id, allocation.token)
        assert (await anext(watched)).HasField("queued")
        await lab.release(allocation.id, allocation.token)
        assert (await anext(watched)).HasField("ended")
        with pytest.raises(StopAsyncIteration):
            await anext(watched)
        with pytest.raises(LeaseLost):
            await task
        with pytest.raises(LeaseLost, match="RELEASED"):
            await lab.heartbeat(allocation.id, allocation.token)
