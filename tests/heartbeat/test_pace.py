import pytest

from hwprovisioner.heartbeat.beats import Alive
from hwprovisioner.heartbeat.pace import next_delay_ms, notices_for
from hwprovisioner.v1 import heartbeat_service_pb2 as pb


@pytest.mark.parametrize(("chance", "delay_ms"), [(0.0, 9000), (0.5, 10_000), (1.0, 11_000)])
def test_the_next_beat_is_due_after_a_third_of_the_lease_with_jitter(
    chance: float, delay_ms: int
) -> None:
    assert next_delay_ms(30_000, chance) == delay_ms


@pytest.mark.parametrize(
    ("ttl_ms", "left_ms", "near"),
    [
        (10_000, None, False),
        (10_000, 60_000, False),
        (10_000, 59_999, True),
        (10_000, 0, True),
        (60_000, 120_000, False),
        (60_000, 119_999, True),
    ],
)
def test_the_end_of_the_maximum_duration_is_announced_when_it_is_near(
    ttl_ms: int, left_ms: int | None, near: bool
) -> None:
    notices = notices_for(Alive(ttl_ms, ttl_ms, "READY", left_ms))
    assert [notice.kind for notice in notices] == [pb.NOTICE_KIND_MAX_DURATION_NEAR] * near
    assert [notice.remaining.ToMilliseconds() for notice in notices] == [left_ms] * near


@pytest.mark.parametrize("left_ms", [0, 1_400, 3_600_000])
def test_giving_way_is_announced_from_the_first_moment_on(left_ms: int) -> None:
    [notice] = notices_for(Alive(30_000, 30_000, "READY", None, preempt_left_ms=left_ms))
    assert notice.kind == pb.NOTICE_KIND_PREEMPTION
    assert notice.remaining.ToMilliseconds() == left_ms
    assert f"in {left_ms // 1000} s" in notice.message


@pytest.mark.parametrize("left_ms", [0, 1_400, 3_600_000])
def test_a_drain_with_a_deadline_is_announced_with_what_is_left(left_ms: int) -> None:
    alive = Alive(30_000, 30_000, "READY", None, draining=("a",), revoke_left_ms=left_ms)
    [notice] = notices_for(alive)
    assert notice.kind == pb.NOTICE_KIND_DRAINING
    assert notice.remaining.ToMilliseconds() == left_ms
    assert f"ends in {left_ms // 1000} s" in notice.message


def test_each_resource_that_is_being_drained_is_named() -> None:
    notices = notices_for(Alive(30_000, 30_000, "READY", None, draining=("a", "b")))
    assert [notice.kind for notice in notices] == [pb.NOTICE_KIND_DRAINING] * 2
    assert [notice.message.split()[0] for notice in notices] == ["a", "b"]
