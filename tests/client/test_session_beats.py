"""Heartbeats of an allocation, over real gRPC: when they come, and what their end means."""

import asyncio

import pytest

from hwprovisioner.client import (
    AsyncLab,
    LeaseLost,
)
from hwprovisioner.v1.heartbeat_service_pb2 import Notice, NoticeKind
from support.eventually import eventually
from support.fake_lab import FakeLab
from support.fake_refusals import AWAY, Code, Refusal, paused_for
from support.fake_time import FakeTime
from support.session import hold, waiting
from support.tcp_proxy import proxy_to


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


async def test_while_leases_are_paused_the_holder_goes_on_and_is_told_so_once(
    timed_lab: AsyncLab, fake: FakeLab, clock: FakeTime
) -> None:
    told: list[Notice] = []
    async with timed_lab.allocate(cpus=1, on_notice=told.append) as hardware:
        await eventually(lambda: hardware.beats)
        lease = hardware.session.lease
        for _ in range(3):  # Each time nearly as long as a lease.
            fake.refuse_beat = paused_for(25.0)
            clock.pass_by(25)
            await eventually(lambda: lease.left_s > 20)
            fake.refuse_beat = AWAY
        hardware.check()
        [notice] = told
        assert notice.kind == NoticeKind.NOTICE_KIND_LEASES_PAUSED
        assert "leases are paused" in notice.message
        fake.refuse_beat = None
        beats = fake.only.beats
        clock.pass_by(5)
        await eventually(lambda: fake.only.beats > beats)
        fake.refuse_beat = paused_for(1.0)
        clock.pass_by(10)
        await eventually(lambda: len(told) == 2)


async def test_a_pause_that_began_too_late_saves_nobody(
    timed_lab: AsyncLab, fake: FakeLab, clock: FakeTime
) -> None:
    block, hardware, lost = await hold(timed_lab, fake)
    fake.refuse_beat = paused_for(0.0)
    clock.pass_by(31)
    await eventually(lambda: lost)
    with pytest.raises(LeaseLost) as caught:
        hardware.check()
    assert caught.value.reason == "LEASE_LAPSED"
    fake.refuse_beat = None
    await block.__aexit__(None, None, None)


async def test_beats_go_on_over_a_new_connection_when_one_is_half_open(fake: FakeLab) -> None:
    fake.next_beat_s = 0.1
    async with proxy_to(int(fake.target.rpartition(":")[2])) as proxy:
        way = f"127.0.0.1:{proxy.port}"
        async with (
            AsyncLab(fake.target, way) as lab,
            lab.allocate(cpus=1, lease_ttl=4) as hardware,
        ):
            await eventually(lambda: hardware.beats)
            proxy.half_open()
            beats = fake.only.beats
            await eventually(lambda: fake.only.beats > beats + 1)
            hardware.check()
            assert proxy.connections == 2


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


async def test_who_is_forgotten_is_told_what_may_have_happened(
    timed_lab: AsyncLab, fake: FakeLab, clock: FakeTime
) -> None:
    block, _, lost = await hold(timed_lab, fake)
    fake.refuse_beat = Refusal(Code.NOT_FOUND, "no allocation 'a-1'", "NO_SUCH_ALLOCATION")
    clock.pass_by(10)
    await eventually(lambda: lost)
    assert "it has lost its state" in str(lost[0])
    assert "stop using them and allocate again" in str(lost[0])
    await block.abandon()


async def test_a_lab_that_forgets_a_grant_and_takes_it_back_changes_nothing(
    timed_lab: AsyncLab, fake: FakeLab, clock: FakeTime
) -> None:
    block, hardware, lost = await hold(timed_lab, fake)
    fake.only.queue(1, "its grant was lost")
    fake.only.prepare()
    fake.only.ready()

    def let_time_pass() -> bool:
        clock.pass_by(0.05)
        return fake.only.beats > 3

    await eventually(let_time_pass)
    hardware.check()
    assert not lost
    await block.__aexit__(None, None, None)


@pytest.mark.parametrize("says", ["queue", "prepare"])
async def test_a_grant_that_is_not_taken_back_in_time_is_lost_and_given_back(
    timed_lab: AsyncLab, fake: FakeLab, clock: FakeTime, says: str
) -> None:
    block, hardware, lost = await hold(timed_lab, fake)
    fake.only.queue(1, "its grant was lost") if says == "queue" else fake.only.prepare()

    def let_time_pass() -> bool:
        clock.pass_by(1)
        return bool(lost)

    await eventually(let_time_pass)
    assert lost[0].reason == "GRANT_LOST"
    assert "has lost its last changes" in lost[0].detail
    with pytest.raises(LeaseLost):
        hardware["host"]
    await block.abandon()
    assert fake.only.released.is_set(), "the lab would grant it other hosts otherwise"


async def test_other_hosts_than_those_that_were_handed_over_are_not_taken_for_them(
    timed_lab: AsyncLab, fake: FakeLab
) -> None:
    block, hardware, lost = await hold(timed_lab, fake)
    fake.only.queue(1, "its grant was lost")
    fake.only.ready("another")
    await eventually(lambda: lost)
    assert lost[0].reason == "GRANT_LOST"
    assert "others instead: another.1" in lost[0].detail
    with pytest.raises(LeaseLost):
        _ = hardware.host.address
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
