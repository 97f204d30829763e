"""What is reckoned from a moment that stands in a record, when the clock of Redis is set."""

from typing import Any

import pytest

from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.lab_clock import LabClock
from hwprovisioner.allocate.planning.fair_share import HOUR_MS
from hwprovisioner.allocate.policy import Policy, Preemption
from hwprovisioner.allocate.telling.holders import Holders
from hwprovisioner.allocate.turnover import Turnover
from hwprovisioner.state.history import History
from hwprovisioner.state.view import View
from support.lab_log import Log

NOW = 4_000_000_000_000
MINUTE = 60_000

steps = pytest.mark.parametrize("step_ms", [HOUR_MS, -HOUR_MS])


@pytest.fixture
def log() -> Log:
    return Log(View())


def running(log: Log, **fields: Any) -> Lab:
    """Have one allocation that has run for ten minutes."""
    lab = Lab(log.view, Policy(preemption=Preemption()))
    log.manager("m")
    log.allocation("one", "READY", user="ann", since_ms=NOW - 10 * MINUTE, holds="h", **fields)
    log.hold("h", "a", "one", state="READY")
    log.resource("a", used_slots=1, holds="h")
    lab.take_time(NOW, NOW)
    return lab


def test_steady_time_is_the_clock_until_that_is_set() -> None:
    clock = LabClock()
    assert (clock.steady_ms(7), clock.moment_ms(7)) == (7, 7)
    assert not clock.set_both(NOW, NOW)
    assert clock.set_both(NOW + HOUR_MS, NOW)
    assert (clock.steady_ms(NOW + HOUR_MS), clock.moment_ms(NOW)) == (NOW, NOW + HOUR_MS)
    assert not clock.set_both(NOW + HOUR_MS + 2_000, NOW)


@steps
def test_until_when_a_resource_is_used_follows_the_clock(log: Log, step_ms: int) -> None:
    lab = running(log, max_ms=30 * MINUTE)
    assert lab.planner.inventory.ends_ms("a") == NOW + 20 * MINUTE
    lab.take_time(NOW + step_ms, NOW)
    assert lab.planner.inventory.ends_ms("a") == NOW + step_ms + 20 * MINUTE


@steps
def test_how_long_a_holder_has_held_is_as_before(log: Log, step_ms: int) -> None:
    lab = running(log, max_ms=30 * MINUTE)
    lab.take_time(NOW + step_ms, NOW)
    [holder], _ = Holders(log.view, lab.past, lab.clock).of(["a"], 1, lambda name, share: True)
    assert holder.since_ms == NOW + step_ms - 10 * MINUTE
    assert holder.ends_ms == NOW + step_ms + 20 * MINUTE


@steps
def test_nobody_has_used_an_hour_more_or_less(log: Log, step_ms: int) -> None:
    lab = running(log)
    lab.remember(History({"ann": {NOW // HOUR_MS - 1: HOUR_MS}}, {}, {}))

    def average() -> float:
        queue = lab.planner.queue
        queue.refresh(lab.clock.now_ms(), force=True)
        return queue.user("ann").average

    before = average()
    lab.take_time(NOW + step_ms, NOW)
    assert average() == pytest.approx(before, rel=1e-3)
    log.allocation("one", "ENDED", since_ms=NOW, end_ms=NOW + step_ms)
    lab.take_time(NOW + step_ms, NOW)
    # Of an hour that is over only the sum is known.
    assert average() == pytest.approx(before, rel=0.03)


def test_who_is_granted_again_has_not_waited_twice(log: Log) -> None:
    lab = Lab(log.view)
    log.allocation("one", class_id="c", since_ms=100)
    log.allocation("one", "PREPARING", since_ms=400, grant_ms=400, holds="h")
    log.allocation("one", since_ms=500, holds="")
    log.allocation("one", "PREPARING", since_ms=900, grant_ms=900, holds="h2")
    assert lab.past.waits == {"c": (300,)}


def test_cleaning_is_timed_by_a_clock_that_is_never_set() -> None:
    at_s = [1.0]
    turnover = Turnover(lambda: at_s[0])
    turnover.begins("h")
    at_s[0] += 2.5
    turnover.ends("h", "a")
    assert turnover.of("a") == 2_500
