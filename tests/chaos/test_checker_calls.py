"""The checker: what clients were answered."""

import pytest

from chaos.checker import check
from support.histories import History, only


@pytest.mark.parametrize("name", ["beat", "release"])
def test_a_wrong_token_that_is_accepted(history: History, name: str) -> None:
    history.submit("a")
    history.call(name, allocation="a", misuse="token")
    assert 6 in {broken.promise for broken in check(history.lines)}


def test_a_heartbeat_that_is_accepted_after_the_end(history: History) -> None:
    history.live("a")
    history.end("a")
    history.clean("a")
    history.call("beat", allocation="a")
    assert only(history).promise == 6


def test_a_client_that_is_told_anothers_hold(history: History) -> None:
    history.live("a")
    history.write("c", "ready", allocation="a", holds=[["board", "board.7", 7]])
    history.end("a")
    history.clean("a")
    assert only(history).promise == 7


def test_a_request_that_makes_two_allocations(history: History) -> None:
    history.submit("a")
    history.submit("b")
    assert {broken.promise for broken in check(history.lines)} == {8}


def test_an_outcome_that_its_waiter_cannot_read(history: History) -> None:
    history.submit("a")
    history.call("get", "refused", allocation="a", reason="NO_SUCH_ALLOCATION")
    assert only(history).promise == 11


def test_an_outcome_that_is_not_what_became_of_it(history: History) -> None:
    history.live("a")
    history.end("a")
    history.clean("a")
    history.call("get", allocation="a", reason="EXPIRED")
    assert only(history).promise == 11


def test_an_acknowledged_allocation_that_is_in_no_log(history: History) -> None:
    history.call("allocate", request="r", allocation="a", token="t")
    assert only(history).promise == 13


def test_what_was_ready_and_never_ends(history: History) -> None:
    history.live("a")
    history.hardware("cleaned")
    assert only(history).promise == 13


def test_what_was_said_to_be_ready_and_was_not(history: History) -> None:
    history.submit("a")
    history.write("c", "ready", allocation="a", holds=[])
    assert only(history).promise == 13


def test_a_fault_of_a_service(history: History) -> None:
    history.call("beat", "refused", allocation="a", reason="INTERNAL")
    assert only(history).promise == 0


def test_an_error_that_the_sdk_should_have_hidden(history: History) -> None:
    history.write("c", "trouble", error="LabUnavailable", why="the stream was lost")
    assert only(history).promise == 0


def test_a_release_that_was_acknowledged_and_lost(history: History) -> None:
    history.submit("a")
    history.call("release", allocation="a")
    assert only(history).promise == 13
