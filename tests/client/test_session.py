"""An allocation from request to release, over real gRPC against a lab that the test scripts."""

from datetime import UTC

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from hwprovisioner.client import (
    AsyncLab,
    LeaseLost,
    Phase,
    Update,
    WrongHost,
)
from support.eventually import eventually
from support.fake_lab import FakeLab
from support.session import waiting


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
