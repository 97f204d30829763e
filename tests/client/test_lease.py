"""What a holder reckons about its own lease: nothing but arithmetic and one latch."""

import pytest

from hwprovisioner.client import LabUnavailable, LeaseLost
from hwprovisioner.client.backoff import full_jitter
from hwprovisioner.client.lease import Lease, margin_s
from hwprovisioner.client.patience import given_up
from hwprovisioner.client.pulse import beat_timeout, delay_after, delay_after_failure
from hwprovisioner.client.settings import Settings
from hwprovisioner.client.updates import Phase, Update
from hwprovisioner.v1.heartbeat_service_pb2 import HeartbeatResponse
from support.fake_refusals import seconds
from support.fake_time import FakeTime


def lease_of(time: FakeTime, remaining_s: float = 30.0) -> Lease:
    lease = Lease("a-1", time.now, 30.0)
    lease.accepted(time.now(), remaining_s)
    lease.guard()
    return lease


def test_the_deadline_counts_from_when_the_beat_was_sent() -> None:
    time = FakeTime()
    lease = lease_of(time)
    sent_s = time.now()
    time.pass_by(4)
    lease.accepted(sent_s, 30.0)
    assert lease.left_s == 30 - margin_s(30) - 4


def test_a_beat_that_was_sent_earlier_does_not_take_back_what_a_later_one_gave() -> None:
    time = FakeTime()
    lease = lease_of(time)
    lease.accepted(time.now() - 10, 30.0)
    assert lease.left_s == 30 - margin_s(30)


def test_exactly_at_the_deadline_the_lease_is_over() -> None:
    time = FakeTime()
    lease = lease_of(time)
    time.pass_by(lease.left_s - 0.001)
    lease.check()
    time.pass_by(lease.left_s)
    with pytest.raises(LeaseLost) as caught:
        lease.check()
    assert caught.value.reason == "LEASE_LAPSED"
    assert caught.value.allocation_id == "a-1"


def test_a_lapsed_lease_stays_lost_even_if_a_beat_turns_out_to_have_been_accepted() -> None:
    time = FakeTime()
    lease = lease_of(time)
    sent_s = time.now() + 25
    time.pass_by(40)
    assert lease.loss is not None
    lease.accepted(sent_s, 30.0)
    with pytest.raises(LeaseLost):
        lease.check()


def test_a_waiting_request_has_nothing_to_fence() -> None:
    time = FakeTime()
    lease = Lease("a-1", time.now)
    lease.accepted(time.now(), 30.0)
    time.pass_by(100)
    lease.check()


def test_the_first_reason_stays() -> None:
    lease = lease_of(FakeTime())
    lease.end("PREEMPTED", "a bigger fish")
    lease.end("RELEASED", "later")
    assert lease.loss is not None
    assert (lease.loss.reason, lease.loss.detail) == ("PREEMPTED", "a bigger fish")


def test_a_lapse_names_the_trouble_that_led_to_it() -> None:
    time = FakeTime()
    lease = lease_of(time)
    lease.troubled("UNAVAILABLE connection refused")
    time.pass_by(31)
    assert "connection refused" in str(lease.loss)


def test_a_loss_counts_as_told_only_once_it_was_raised() -> None:
    lease = lease_of(FakeTime())
    lease.end("REVOKED", "")
    assert lease.unseen_loss is not None
    with pytest.raises(LeaseLost):
        lease.check()
    assert lease.unseen_loss is None


@pytest.mark.parametrize(
    ("remaining", "asked", "delay"), [(30, 10, 10), (30, 0, 10), (30, 29, 15), (3, 10, 1.5)]
)
def test_the_lab_says_when_to_beat_within_half_the_lease(
    remaining: float, asked: float, delay: float
) -> None:
    response = HeartbeatResponse(
        remaining_lease=seconds(remaining), next_heartbeat_delay=seconds(asked)
    )
    assert delay_after(response) == delay


@pytest.mark.parametrize(("left", "timeout"), [(30, 5), (3, 1.5), (0.1, 0.25), (0, 5), (-9, 5)])
def test_a_beat_that_hangs_leaves_time_for_another(left: float, timeout: float) -> None:
    assert beat_timeout(left, 5.0) == timeout


def test_backoff_is_any_part_of_a_span_that_doubles_up_to_a_cap() -> None:
    assert [full_jitter(n, 1.0, base_s=1, cap_s=5) for n in (1, 2, 3, 4, 5000)] == [1, 2, 4, 5, 5]
    assert full_jitter(9, 0.0) == 0.0


def news(**changes: object) -> Update:
    return Update(**({"phase": Phase.QUEUED, "allocation_id": "a-1", "waited_s": 0.0} | changes))  # type: ignore[arg-type]


def verdict(update: Update, **changes: object) -> str:
    known: dict[str, object] = {
        "wait_s": 0.0,
        "queued": True,
        "silent_s": 0.0,
        "proven": True,
        "trouble": None,
        "settings": Settings(),
    }
    error = given_up(update, **(known | changes))  # type: ignore[arg-type]
    return error.reason if error else ""


def test_a_lab_that_never_answers_is_given_up_after_the_contact_limit() -> None:
    limit_s = Settings().contact_limit_s
    assert verdict(news(allocation_id=""), silent_s=limit_s - 1) == ""
    assert verdict(news(allocation_id=""), silent_s=limit_s) == "NO_ANSWER"


def test_a_wait_that_the_lab_forgot_to_end_is_ended_a_little_later() -> None:
    assert verdict(news(waited_s=62.0), wait_s=60.0) == ""
    assert verdict(news(waited_s=65.0), wait_s=60.0) == "WAIT_TIMEOUT"
    assert verdict(news(waited_s=999.0)) == ""
    assert verdict(news(waited_s=65.0), wait_s=60.0, queued=False) == ""


def test_a_lab_that_stays_away_is_given_up_only_if_nothing_proves_the_lease() -> None:
    away = {"trouble": LabUnavailable("away", reason="NO_ANSWER"), "silent_s": 300.0}
    assert verdict(news()) == verdict(news(), **away) == ""
    assert verdict(news(), **away, proven=False) == "NO_ANSWER"
    assert verdict(news(), **(away | {"silent_s": 299.0}), proven=False) == ""


def test_updates_are_one_line_for_people() -> None:
    assert news(place=2, message="waits for refb").line == "queued at place 2: waits for refb"
    assert news(phase=Phase.PREPARING, host="db", message="boots").line == "preparing db: boots"
    assert news(phase=Phase.READY, waited_s=3.0).line == "ready after 3.0 s"
    assert news(phase=Phase.AWAY).line == "the lab is away, trying again"


def paused(lease: Lease, time: FakeTime, *, for_s: float) -> bool:
    """Refuse a heartbeat that was sent just now, as leases have been paused for so long."""
    return lease.paused(time.now(), time.now() - for_s)


def test_a_pause_that_began_within_the_lease_is_worth_a_beat() -> None:
    time = FakeTime()
    lease = lease_of(time)
    time.pass_by(20)
    assert paused(lease, time, for_s=15)
    assert lease.left_s == 30 - margin_s(30)
    time.pass_by(29)
    assert paused(lease, time, for_s=44)
    time.pass_by(28)
    lease.check()
    time.pass_by(1)
    assert lease.loss is not None, "nothing was heard for a whole lease"


@pytest.mark.parametrize("early_s", [0.0, 1.0])
def test_a_pause_that_began_after_the_end_of_the_lease_saves_nothing(early_s: float) -> None:
    time = FakeTime()
    lease = Lease("a-1", time.now, 30.0)
    lease.accepted(time.now(), 30.0)
    time.pass_by(lease.left_s + early_s)
    assert not paused(lease, time, for_s=early_s)
    lease.guard()
    assert lease.loss is not None


def test_a_pause_takes_nothing_back() -> None:
    time = FakeTime()
    lease = lease_of(time, 600.0)  # As of what is kept.
    assert paused(lease, time, for_s=0)
    assert lease.left_s == 600 - margin_s(600)


def test_a_lease_of_unknown_length_is_not_saved_by_a_pause() -> None:
    time = FakeTime()
    lease = Lease("a-1", time.now)
    lease.accepted(time.now(), 30.0)
    time.pass_by(20)
    paused(lease, time, for_s=10)
    assert lease.left_s == 10 - margin_s(30)


@pytest.mark.parametrize(("left", "delay"), [(100, 3.5), (8, 2.0), (0.2, 0.1), (0, 3.5), (-5, 3.5)])
def test_near_the_end_of_a_lease_beats_are_tried_faster(left: float, delay: float) -> None:
    assert delay_after_failure(left, 0.5, 3.0) == delay
