"""What is due is touched at once and ended a moment later, each by itself."""

import pytest

from hwprovisioner.allocate.alarms import SAFETY_NET_S, Alarms


def test_what_is_due_is_touched_once_and_ended_when_nobody_has() -> None:
    alarms = Alarms()
    assert alarms.look(["a"], 10.0) == (["a"], [])
    assert alarms.look(["a"], 10.0 + SAFETY_NET_S / 2) == ([], [])
    assert alarms.look(["a"], 10.01 + SAFETY_NET_S) == ([], ["a"])


def test_what_is_due_meanwhile_does_not_wait_for_the_others() -> None:
    alarms = Alarms()
    alarms.look(["a"], 10.0)
    assert alarms.look(["a", "b"], 10.04) == (["b"], [])
    assert alarms.look(["a", "b"], 10.11) == ([], ["a"])
    assert alarms.look(["b"], 10.15) == ([], ["b"])


def test_what_could_not_be_ended_is_tried_again() -> None:
    alarms = Alarms()
    alarms.look(["a"], 10.0)
    assert alarms.look(["a"], 10.2) == ([], ["a"])
    assert alarms.look(["a"], 10.3) == ([], ["a"])


def test_a_lease_that_was_extended_is_touched_anew_when_it_is_due_again() -> None:
    alarms = Alarms()
    alarms.look(["a"], 10.0)
    alarms.look([], 10.05)
    assert alarms.look(["a"], 20.0) == (["a"], [])


def test_the_next_look_is_when_the_first_one_may_be_ended() -> None:
    alarms = Alarms()
    assert alarms.next_s is None
    alarms.look(["a"], 10.0)
    alarms.look(["a", "b"], 10.06)
    assert alarms.next_s == pytest.approx(10.0 + SAFETY_NET_S)
    alarms.look(["a", "b"], 10.11)
    assert alarms.next_s == pytest.approx(10.06 + SAFETY_NET_S)
    alarms.look(["a", "b"], 11.0)
    assert alarms.next_s is None


def test_what_was_foreseen_is_touched_in_time_and_not_once_more() -> None:
    alarms = Alarms()
    alarms.foresee({"a": 10.0, "b": 10.02})
    assert alarms.ripe(9.99) == []
    assert alarms.ripe(10.0) == ["a"]
    assert alarms.look(["a", "b"], 10.03) == (["b"], [])
    assert alarms.look(["a"], 10.01 + SAFETY_NET_S) == ([], ["a"])


def test_what_was_foreseen_and_is_not_due_is_no_reason_to_end_it() -> None:
    alarms = Alarms()
    alarms.foresee({"a": 10.0})
    alarms.ripe(10.0)
    assert alarms.look([], 10.01) == ([], [])
    alarms.foresee({})
    assert alarms.ripe(20.0) == []
    assert alarms.look(["a"], 20.0) == (["a"], [])
