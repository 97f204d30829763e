"""The heartbeats of several leases of one process, over real gRPC: together, each on its own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from hwprovisioner.client import AsyncHardware, AsyncLab, LeaseLost
from hwprovisioner.client.beater import Answer
from hwprovisioner.client.channel import Channels
from hwprovisioner.client.failures import Report
from hwprovisioner.v1.heartbeat_service_pb2 import HeartbeatRequest, HeartbeatResponse
from support.eventually import eventually
from support.fake_lab import FakeLab
from support.fake_refusals import AWAY, paused_for
from support.fake_time import FakeTime
from support.tcp_proxy import proxy_to


@pytest.fixture
async def held(
    timed_lab: AsyncLab, fake: FakeLab, clock: FakeTime
) -> AsyncIterator[list[AsyncHardware]]:
    """Three leases; the first call that two of them are due for is still to come."""
    blocks = [timed_lab.allocate(cpus=1) for _ in range(3)]
    hardware = [await block.__aenter__() for block in blocks]
    await resting(clock, 3)
    fake.beat_calls.clear()
    yield hardware
    fake.refuse_beat = None
    for block in blocks:
        await block.abandon()


async def resting(clock: FakeTime, count: int) -> None:
    """Wait until so many leases have just been answered."""
    await eventually(lambda: clock.due_s.count(10.0) == count)


async def called(fake: FakeLab, times: int) -> list[set[str]]:
    await eventually(lambda: len(fake.beat_calls) >= times)
    return [set(call) for call in fake.beat_calls]


async def test_all_leases_of_a_process_beat_in_one_call(
    held: list[AsyncHardware], fake: FakeLab, clock: FakeTime
) -> None:
    everybody = {one.allocation_id for one in held}
    for times in (1, 2, 3):
        clock.pass_by(10)
        assert await called(fake, times) == [everybody] * times
        await resting(clock, 3)
        assert [one.beats for one in held] == [times + 1] * 3


async def test_one_that_is_due_soon_goes_along_and_another_waits(
    timed_lab: AsyncLab, fake: FakeLab, clock: FakeTime
) -> None:
    blocks = []
    for count in (1, 2, 3):  # each asked for 4 s after the one before, and due 10 s later
        blocks.append(timed_lab.allocate(cpus=1))
        await blocks[-1].__aenter__()
        await resting(clock, 2 if count == 3 else 1)
        if count < 3:
            clock.pass_by(4)
    assert await called(fake, 3) == [{"a-1"}, {"a-2"}, {"a-1", "a-3"}]
    clock.pass_by(6)
    assert (await called(fake, 4))[3:] == [{"a-1", "a-2", "a-3"}]
    for block in blocks:
        await block.__aexit__(None, None, None)


async def test_each_is_told_what_concerns_it(
    held: list[AsyncHardware], fake: FakeLab, clock: FakeTime
) -> None:
    ended, *others = held
    lost: list[LeaseLost] = []
    ended.on_lost(lost.append)
    allocation = fake.allocations.pop(next(iter(fake.allocations)))
    assert allocation.id == ended.allocation_id
    clock.pass_by(10)
    await eventually(lambda: lost)
    assert lost[0].reason == "NO_SUCH_ALLOCATION"
    await eventually(lambda: all(one.beats == 2 for one in others))
    for one in others:
        one.check()


async def test_a_pause_holds_for_all_and_who_failed_together_tries_again_together(
    held: list[AsyncHardware], fake: FakeLab, clock: FakeTime
) -> None:
    fake.refuse_beat = paused_for(25.0)
    clock.pass_by(25)
    await called(fake, 1)
    await eventually(lambda: all(one.session.lease.left_s > 20 for one in held))
    fake.refuse_beat = AWAY

    def let_time_pass() -> bool:
        clock.pass_by(0.05)
        return len(fake.beat_calls) >= 4

    await eventually(let_time_pass)
    everybody = {one.allocation_id for one in held}
    assert [set(call) for call in fake.beat_calls[:4]] == [everybody] * 4
    for one in held:
        one.check()


@dataclass(eq=False)
class Lease:
    """What beats, without its reckoning."""

    name: str
    is_over: bool = False
    request: HeartbeatRequest = field(init=False)

    def __post_init__(self) -> None:
        self.request = HeartbeatRequest(allocation_id=self.name, token="token")

    def come_along(self) -> None:
        raise AssertionError("it was never added")


def code_of(answer: Answer) -> str:
    return answer.result.code if isinstance(answer.result, Report) else "OK"


@pytest.fixture
async def channels(fake: FakeLab) -> AsyncIterator[Channels]:
    channels = Channels(fake.target, fake.target)
    yield channels
    await channels.close()


async def test_who_is_over_before_the_call_is_sent_is_not_in_it(
    channels: Channels, fake: FakeLab
) -> None:
    leases = [Lease("a"), Lease("b"), Lease("c")]
    tasks = [asyncio.create_task(channels.beater.beat(one, 5.0)) for one in leases]
    await asyncio.sleep(0)
    leases[1].is_over = True
    codes = [code_of(answer) for answer in await asyncio.gather(*tasks)]
    assert codes == ["NOT_FOUND", "CANCELLED", "NOT_FOUND"]
    assert fake.beat_calls == [["a", "c"]]


async def test_a_connection_that_is_renewed_before_the_call_is_sent_is_not_used(
    channels: Channels, fake: FakeLab
) -> None:
    beating = asyncio.create_task(channels.beater.beat(Lease("a"), 5.0))
    await asyncio.sleep(0)
    old = channels._heartbeat
    channels.renew_heartbeat(channels.heartbeat)
    await old.close()
    await beating
    assert fake.beat_calls == [["a"]]


async def test_more_leases_than_a_call_may_have_take_several(
    channels: Channels, fake: FakeLab
) -> None:
    answers = await asyncio.gather(
        *(channels.beater.beat(Lease(f"a{n}"), 30.0) for n in range(2001))
    )
    assert {code_of(answer) for answer in answers} == {"NOT_FOUND"}
    assert sorted(len(call) for call in fake.beat_calls) == [1, 1000, 1000]


async def test_each_waits_for_as_long_as_its_own_lease_allows(fake: FakeLab) -> None:
    fake.allocations.clear()
    async with proxy_to(int(fake.target.rpartition(":")[2])) as proxy:
        channels = Channels(fake.target, f"127.0.0.1:{proxy.port}")
        assert code_of(await channels.beater.beat(Lease("a"), 30.0)) == "NOT_FOUND"
        proxy.half_open()
        first = channels.heartbeat
        patient = asyncio.create_task(channels.beater.beat(Lease("a"), 30.0))
        hurried = await channels.beater.beat(Lease("b"), 0.2)
        assert code_of(hurried) == "DEADLINE_EXCEEDED"
        assert not patient.done()
        assert channels.heartbeat is not first, "the next beat goes over another connection"
        await channels.close()
        assert code_of(await patient) == "CANCELLED"


def test_a_response_is_no_failure() -> None:
    assert code_of(Answer(HeartbeatResponse(), 0.5)) == "OK"
