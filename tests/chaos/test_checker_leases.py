"""The checker: leases that end too early or too late, and what excuses a late one."""

import pytest

from chaos.check_leases import Lateness
from chaos.checker import check
from support.histories import TTL_MS, History, only


def test_a_lease_that_ends_late(history: History) -> None:
    history.submit("a")
    history.call("beat", allocation="a")
    history.wait(TTL_MS + 300)
    history.log("expire", ("allocation", "a", {"state": "ENDED", "end_reason": "EXPIRED"}))
    broken = only(history)
    assert broken.promise == 4
    assert [line.kind for line in broken.lines] == ["call", "answer", "log"]


@pytest.mark.parametrize("late_ms", [100, TTL_MS + 2600])
@pytest.mark.parametrize("hurts", [["redis"], ["heartbeat-1"], ["allocate-1", "allocate-2"]])
def test_after_an_outage_a_lease_may_end_a_lease_later(
    history: History, hurts: list[str], late_ms: float
) -> None:
    for name in ("allocate-1", "allocate-2"):
        history.write("lab", "serves", name=name)
    history.submit("a")
    for phase in ("begin", "end"):
        for name in hurts:
            history.fault(phase, name)
        history.wait(1000)
    history.wait(TTL_MS + late_ms)
    history.log("expire", ("allocation", "a", {"state": "ENDED", "end_reason": "EXPIRED"}))
    late = Lateness()
    found = check(history.lines, late)
    assert late.outage == 1
    assert [broken.promise for broken in found] == ([] if late_ms == 100 else [4])


def test_one_allocate_that_is_away_excuses_nothing(history: History) -> None:
    for name in ("allocate-1", "allocate-2"):
        history.write("lab", "serves", name=name)
    history.submit("a")
    history.fault("begin", "allocate-1")
    history.wait(TTL_MS + 300)
    history.fault("end", "allocate-1")
    history.log("expire", ("allocation", "a", {"state": "ENDED", "end_reason": "EXPIRED"}))
    assert only(history).promise == 4


def test_a_rolling_restart_leaves_one_allocate_which_may_be_hit(history: History) -> None:
    for name in ("allocate-1", "allocate-2"):
        history.write("lab", "serves", name=name)
    history.submit("a")
    history.fault("begin", "allocate-2")
    history.write("lab", "restart", phase="begin", name="allocate-1")
    history.wait(TTL_MS + 300)
    history.write("lab", "restart", phase="end", name="allocate-1")
    history.fault("end", "allocate-2")
    history.log("expire", ("allocation", "a", {"state": "ENDED", "end_reason": "EXPIRED"}))
    assert check(history.lines) == []


@pytest.mark.parametrize("name", ["allocate-1", "heartbeat-1"])
def test_a_rolling_restart_alone_excuses_nothing(history: History, name: str) -> None:
    for service in ("allocate-1", "allocate-2"):
        history.write("lab", "serves", name=service)
    history.submit("a")
    history.write("lab", "restart", phase="begin", name=name)
    history.wait(TTL_MS + 300)
    history.write("lab", "restart", phase="end", name=name)
    history.log("expire", ("allocation", "a", {"state": "ENDED", "end_reason": "EXPIRED"}))
    assert only(history).promise == 4


def test_a_lease_is_not_late_when_the_machine_ran_nobody(history: History) -> None:
    history.submit("a")
    history.wait(TTL_MS + 300)
    history.write("machine", "stall", s=0.2)
    history.log("expire", ("allocation", "a", {"state": "ENDED", "end_reason": "EXPIRED"}))
    assert check(history.lines) == []


def test_of_an_unanswered_heartbeat_nobody_knows_when_it_took_effect(history: History) -> None:
    history.submit("a")
    history.call("beat", "unknown", allocation="a")
    history.wait(3 * TTL_MS)
    history.log("expire", ("allocation", "a", {"state": "ENDED", "end_reason": "EXPIRED"}))
    late = Lateness()
    assert check(history.lines, late) == []
    assert late.unsure == 1


def test_a_lease_that_ends_though_a_heartbeat_was_accepted(history: History) -> None:
    history.submit("a")
    history.wait(TTL_MS - 100)
    history.call("beat", allocation="a")
    history.wait(200)
    history.log("expire", ("allocation", "a", {"state": "ENDED", "end_reason": "EXPIRED"}))
    late = Lateness()
    assert only(history, late).promise == 5
    assert late.early == 1


def test_a_lease_that_ends_before_its_first_heartbeat_was_due(history: History) -> None:
    history.submit("a")
    history.log("expire", ("allocation", "a", {"state": "ENDED", "end_reason": "EXPIRED"}))
    assert only(history).promise == 5
