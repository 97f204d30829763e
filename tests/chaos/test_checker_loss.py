"""The checker, when Redis has lost changes: those that it may lose, and those that it may not."""

from chaos.checker import check
from support.histories import History, only


def test_a_redis_that_has_lost_changes(history: History) -> None:
    history.write("log", "rewound", revision=1, before=2)
    assert only(history).promise == 13


def test_of_what_redis_may_lose_nothing_need_be_kept(history: History) -> None:
    history.live("a")
    history.lose(3)
    history.hardware("cleaned")
    history.call("get", "refused", allocation="a", reason="NO_SUCH_ALLOCATION")
    assert check(history.lines) == []


def test_what_was_there_before_the_loss_is_there_after_it(history: History) -> None:
    history.live("a")
    history.submit("b", request="another")
    history.lose(1)
    history.call("get", "refused", allocation="a", reason="NO_SUCH_ALLOCATION")
    history.end("a")
    history.clean("a")
    assert only(history).promise == 11


def test_a_hold_that_redis_has_lost_is_given_back_with_its_fence(history: History) -> None:
    history.submit("a")
    history.grant("a", 5)
    history.lose(1)
    history.grant("a", 5)
    assert check(history.lines) == []


def test_a_fence_that_was_used_in_what_redis_has_lost(history: History) -> None:
    history.submit("a")
    history.submit("b", request="another")
    history.grant("a", 5)
    history.hardware("prepare", "board.5")
    history.lose(1)
    history.hardware("cleaned", "board.5")
    history.grant("b", 4)
    assert only(history).promise == 2


def test_an_offer_that_redis_has_lost_before_anybody_knew_of_it(history: History) -> None:
    history.submit("a")
    history.submit("b", request="another")
    history.grant("a", 5)
    history.lose(1)
    history.grant("b", 5)
    assert check(history.lines) == []


def test_a_board_that_is_prepared_for_another_with_the_same_hold(history: History) -> None:
    history.hardware("prepare", "board.5", "a")
    history.hardware("prepare", "board.5", "b")
    history.hardware("cleaned", "board.5", "b")
    assert only(history).promise == 3


def test_a_hold_that_is_another_than_the_one_that_redis_has_lost(history: History) -> None:
    history.submit("a")
    history.submit("b", request="another")
    history.grant("a", 5)
    history.hardware("prepare", "board.5")
    history.lose(1)
    history.hardware("cleaned", "board.5")
    history.grant("b", 5)
    assert only(history).promise == 2


def test_a_history_with_gaps_is_judged_as_far_as_it_goes(history: History) -> None:
    history.log("grant", ("allocation", "a", {"state": "PREPARING"}))
    history.log("end", ("hold", "board.1", {"state": "CLEANING"}))
    assert [broken.promise for broken in check(history.lines)] == [2]


def test_a_board_that_is_lent_twice_because_redis_has_lost_the_first_grant(
    history: History,
) -> None:
    history.submit("b", request="another")
    history.live("a", "board.5")
    history.lose(3)
    history.hardware("prepare", "board.7", "b")
    history.hardware("cleaned", "board.7", "b")
    assert only(history).promise == 3


def test_a_redis_that_is_recognized_goes_on_far_above(history: History) -> None:
    history.submit("a")
    history._revision += 1000
    history.log("recognize", ("manager", "m", {"epoch": 0}))
    assert check(history.lines) == []


def test_a_gap_in_the_log(history: History) -> None:
    history.submit("a")
    history._revision += 1
    history.submit("b", request="another")
    assert only(history).promise == 13
