"""The checker on turns: who waits keeps its place, and nothing stands idle."""

import pytest

from chaos.check_turns import IDLE_LIMIT_MS, RETURN_MS, SEEN_MS
from chaos.checker import check
from support.histories import TTL_MS, History, only

OPEN = {"manager": "m", "epoch": 7, "volunteered": 1, "removed": 0, "holds": "", "rest_until": 0}
OPEN |= {"health": "HEALTHY", "admin": "ENABLED"}


def with_a_free_board(history: History, **but: object) -> None:
    history.log("register", ("manager", "m", {"presence": "ONLINE", "epoch": 7}))
    history.log("describe", ("resource", "board", {**OPEN, **but}))


def with_two_that_wait(history: History) -> None:
    history.submit("a")
    history.submit("b", request="another")


def test_the_first_of_two_is_granted_first(history: History) -> None:
    with_two_that_wait(history)
    history.wait(SEEN_MS)
    history.grant("a", 1)
    history.grant("b", 2, resource="other")
    assert check(history.lines) == []


def test_the_second_of_two_is_granted_first(history: History) -> None:
    with_two_that_wait(history)
    history.wait(SEEN_MS)
    history.grant("b", 2)
    broken = only(history)
    assert broken.promise == 9
    assert "which was before it" in broken.what


def test_who_came_a_moment_ago_may_not_have_been_seen(history: History) -> None:
    with_two_that_wait(history)
    history.grant("b", 2)
    assert check(history.lines) == []


def test_who_may_have_lost_its_lease_has_no_place(history: History) -> None:
    with_two_that_wait(history)
    history.wait(TTL_MS)
    history.grant("b", 2)
    assert check(history.lines) == []


def test_whose_lease_was_extended_keeps_its_place(history: History) -> None:
    with_two_that_wait(history)
    history.wait(TTL_MS * 0.9)
    history.call("beat", allocation="a")
    history.wait(TTL_MS * 0.9)
    history.grant("b", 2)
    assert only(history).promise == 9


def test_who_asks_for_something_else_may_go_first(history: History) -> None:
    history.submit("a", hosts=2)
    history.submit("b", request="another")
    history.wait(SEEN_MS)
    history.grant("b", 2)
    assert check(history.lines) == []


def beating(history: History, ms: float) -> None:
    history.call("beat", allocation="a")
    history.wait(ms)
    history.call("beat", allocation="a")
    history.log("heard", ("manager", "m", {"presence": "ONLINE"}))


def test_a_board_that_is_idle_while_somebody_waits(history: History) -> None:
    with_a_free_board(history)
    history.submit("a")
    beating(history, 1)
    beating(history, 0.6 * IDLE_LIMIT_MS)
    beating(history, 0.6 * IDLE_LIMIT_MS)
    broken = only(history)
    assert broken.promise == 9
    assert "enough was free" in broken.what


@pytest.mark.parametrize("but", [{"rest_until": 5}, {"holds": "board.1"}, {"epoch": 6}])
def test_a_board_that_is_not_to_be_had(history: History, but: dict[str, object]) -> None:
    with_a_free_board(history, **but)
    history.submit("a")
    for _ in range(3):
        beating(history, 0.6 * IDLE_LIMIT_MS)
    assert check(history.lines) == []


def test_one_board_is_not_enough_for_a_set(history: History) -> None:
    with_a_free_board(history)
    history.submit("a", hosts=2)
    for _ in range(3):
        beating(history, 0.6 * IDLE_LIMIT_MS)
    assert check(history.lines) == []


@pytest.mark.parametrize("whoever", ["redis", "allocate-1"])
def test_nothing_is_given_out_without_whoever_decides(history: History, whoever: str) -> None:
    with_a_free_board(history)
    history.submit("a")
    history.fault("begin", whoever)
    history.fault("end", whoever)
    for _ in range(3):
        beating(history, 0.6 * IDLE_LIMIT_MS)
    assert 1.8 * IDLE_LIMIT_MS < RETURN_MS
    assert check(history.lines) == []
