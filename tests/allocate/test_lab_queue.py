"""Whose turn it is in a lab."""

from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.policy import Policy, UserPolicy
from support.lab_log import Log, queued


def test_priority_goes_before_time(log: Log) -> None:
    lab = Lab(log.view)
    log.allocation("early", turn=1, user="ann")
    log.allocation("late", turn=2, user="bob")
    log.allocation("urgent", turn=3, user="bob", priority=5)
    assert queued(lab) == ["urgent", "early", "late"]


def test_priorities_are_bounded_by_policy(log: Log) -> None:
    lab = Lab(log.view, Policy(everyone=UserPolicy(priority_high=0)))
    log.allocation("early", turn=1, user="ann")
    log.allocation("urgent", turn=2, user="bob", priority=5)
    assert queued(lab) == ["early", "urgent"]
    lab.take_policy(Policy())
    assert queued(lab) == ["urgent", "early"]


def test_whoever_holds_something_comes_after_those_who_hold_nothing(log: Log) -> None:
    lab = Lab(log.view)
    log.allocation("running", "READY", user="ann", since_ms=0, holds="h1")
    log.hold("h1", "a", "running", state="READY")
    log.allocation("again", turn=1, user="ann")
    log.allocation("first", turn=2, user="bob")
    assert queued(lab) == ["first", "again"]
    log.change("hold", "h1", {"state": "CLEANING"})
    assert queued(lab) == ["again", "first"]


def test_what_comes_back_to_the_queue_has_its_place_again(log: Log) -> None:
    lab = Lab(log.view)
    log.allocation("first", turn=1)
    log.allocation("second", turn=2)
    log.change("allocation", "first", {"state": "PREPARING"})
    assert queued(lab) == ["second"]
    log.change("allocation", "first", {"state": "QUEUED"})
    assert queued(lab) == ["first", "second"]
