"""The checker finds each promise broken that is broken, with what shows it, and nothing else."""

import pytest

from chaos.checker import check
from support.histories import TTL_MS, History, only


def test_a_clean_history_breaks_nothing(history: History) -> None:
    history.live("a")
    history.call("beat", allocation="a")
    history.call("beat", "refused", allocation="a", misuse="token", reason="WRONG_TOKEN")
    history.call("release", allocation="a")
    history.end("a")
    history.clean("a")
    history.call("get", allocation="a", reason="RELEASED")
    history.live("b", "board.3", request="another")
    history.wait(TTL_MS)
    history.end("b", "EXPIRED", "board.3")
    history.clean("b", "board.3")
    assert check(history.lines) == []


def test_two_live_holds_on_one_board(history: History) -> None:
    history.submit("a")
    history.submit("b", request="another")
    history.grant("a", 1)
    history.grant("b", 2)
    broken = only(history)
    assert broken.promise == 1
    assert [line["event"] for line in broken.lines] == ["grant", "grant"]


def test_a_board_that_is_used_while_it_is_anothers(history: History) -> None:
    history.live("a")
    history.wait(TTL_MS)
    history.end("a", "EXPIRED")
    history.clean("a")
    history.live("b", "board.3", request="another")
    history.use("a")
    history.end("b", hold="board.3")
    history.clean("b", "board.3")
    broken = only(history)
    assert broken.promise == 1
    assert "while it was another's" in broken.what
    assert [line.kind for line in broken.lines] == ["hardware", "use", "log"]


def test_a_board_that_is_used_after_it_was_cleaned(history: History) -> None:
    history.live("a")
    history.end("a")
    history.clean("a")
    history.use("a")
    assert "after it had been cleaned" in only(history).what


def test_who_is_told_late_that_its_resource_is_lost_breaks_nothing(history: History) -> None:
    board = "manager-1-board.1"
    history.live("a", board)
    history.fault("begin", "manager-1")
    history.fault("end", "manager-1")
    history.end("a", "RESOURCE_LOST", board)
    history.clean("a", board)
    history.use("a", "manager-1-board")
    assert check(history.lines) == []


@pytest.mark.parametrize("manager", ["manager-2", "manager-10"])
def test_a_resource_that_is_lost_though_nothing_happened_to_it(
    history: History, manager: str
) -> None:
    board = "manager-1-board.1"
    history.live("a", board)
    history.fault("begin", manager)
    history.end("a", "RESOURCE_LOST", board)
    history.clean("a", board)
    broken = only(history)
    assert broken.promise == 13
    assert "nothing had happened" in broken.what


def test_what_nobody_had_a_reason_to_end(history: History) -> None:
    history.live("a")
    history.end("a", "REVOKED")
    history.clean("a")
    assert only(history).promise == 13


def test_a_use_that_was_interrupted_proves_nothing(history: History) -> None:
    history.live("a")
    history.end("a")
    history.clean("a")
    history.write("c", "use", allocation="a", resource="board", began=0.0)
    assert check(history.lines) == []


def test_a_fence_that_falls(history: History) -> None:
    history.log("describe", ("resource", "board", {"fence": 7}))
    history.log("describe", ("resource", "board", {"fence": 6}))
    assert only(history).promise == 2


def test_an_end_that_does_not_raise_the_fence(history: History) -> None:
    history.live("a")
    ended = {"state": "ENDED", "end_reason": "RELEASED"}
    cleaning = {"state": "CLEANING", "fence": 1}
    history.log("release", ("hold", "board.1", cleaning), ("allocation", "a", ended))
    history.clean("a")
    assert only(history).promise == 2


def test_a_hold_whose_fence_was_used_before(history: History) -> None:
    history.live("a")
    history.end("a")
    history.clean("a")
    history.submit("b", request="another")
    history.log(
        "grant",
        (
            "hold",
            "board.x",
            {"allocation": "b", "resource": "board", "state": "OFFERED", "fence": 1},
        ),
        ("allocation", "b", {"state": "PREPARING"}),
    )
    assert only(history).promise == 2


def test_a_board_that_is_prepared_before_it_was_cleaned(history: History) -> None:
    history.hardware("prepare", "board.1")
    history.hardware("prepare", "board.3", "b")
    history.hardware("cleaned", "board.3", "b")
    assert only(history).promise == 3


def test_a_board_that_is_left_uncleaned(history: History) -> None:
    history.hardware("prepare", "board.1")
    assert only(history).promise == 3


def test_a_board_that_is_prepared_again_after_the_end(history: History) -> None:
    for action in ("prepare", "cleaned", "prepare", "cleaned"):
        history.hardware(action)
    broken = only(history)
    assert broken.promise == 6
    assert "which was over" in broken.what


def test_a_board_that_is_prepared_with_an_old_fence(history: History) -> None:
    for hold in ("board.5", "board.3"):
        history.hardware("prepare", hold)
        history.hardware("cleaned", hold)
    broken = only(history)
    assert broken.promise == 6
    assert "old fence" in broken.what


def test_a_board_that_is_cleaned_under_anothers_feet(history: History) -> None:
    history.hardware("prepare", "board.3", "b")
    history.hardware("cleaned", "board.1")
    history.hardware("cleaned", "board.3", "b")
    assert only(history).promise == 1


def test_a_transition_that_no_table_has(history: History) -> None:
    history.submit("a")
    history.log("ready", ("allocation", "a", {"state": "READY"}))
    history.log("release", ("allocation", "a", {"state": "ENDED", "end_reason": "RELEASED"}))
    broken = only(history)
    assert broken.promise == 6
    assert "from QUEUED to READY" in broken.what


def test_half_a_set_that_is_granted(history: History) -> None:
    history.submit("a", hosts=2)
    history.grant("a", 1)
    assert only(history).promise == 7


def test_a_whole_set_that_is_granted(history: History) -> None:
    history.submit("a", hosts=2)
    history.grant("a", 1, 1)
    assert check(history.lines) == []


def test_a_process_that_does_not_start(history: History) -> None:
    history.write("lab", "failed", fault="kill", target="allocate-1", why="not within 40 s")
    assert only(history).promise == 0


def test_a_lab_that_stands_still(history: History) -> None:
    history.write("lab", "stuck", fault="cut", s=30)
    assert only(history).promise == 9


def test_records_that_are_not_what_the_log_has_told(history: History) -> None:
    history.log("describe", ("resource", "board", {"fence": 7}))
    history.write("lab", "records", allocation={}, resource={"board": {"fence": "8"}})
    assert only(history).promise == 10
