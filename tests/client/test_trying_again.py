"""Streams that are taken up again while the lab is away, however quiet they were before."""

from collections.abc import AsyncIterator

import grpc.aio
import pytest

from hwprovisioner.client.errors import LabUnavailable
from hwprovisioner.client.settings import Settings
from hwprovisioner.client.trying_again import stream_again
from support.fake_time import FakeTime


class Hurried(FakeTime):
    """Whoever sleeps has slept."""

    async def sleep(self, seconds: float) -> None:
        self.pass_by(seconds)


@pytest.fixture
def time() -> Hurried:
    return Hurried()


def lost() -> grpc.aio.AioRpcError:
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing, "gone")


async def test_a_stream_that_was_quiet_for_long_is_taken_up_again(time: Hurried) -> None:
    settings = Settings(contact_limit_s=3.0)
    starts = 0

    async def start() -> AsyncIterator[int]:
        nonlocal starts
        starts += 1
        yield starts
        if starts == 1:
            time.pass_by(3_600)
            raise lost()

    answers = stream_again(start, settings, time)
    assert [await anext(answers), await anext(answers)] == [1, 2]


async def test_a_stream_that_stays_lost_is_given_up_after_the_limit(time: Hurried) -> None:
    settings = Settings(contact_limit_s=3.0)
    starts = 0

    async def start() -> AsyncIterator[int]:
        nonlocal starts
        starts += 1
        if starts > 1:
            raise lost()
        yield starts
        raise lost()

    answers = stream_again(start, settings, time)
    assert await anext(answers) == 1
    began = time.now()
    with pytest.raises(LabUnavailable):
        await anext(answers)
    assert starts > 2
    assert time.now() - began >= 3.0
