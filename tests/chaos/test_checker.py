"""The checker finds each promise broken that is broken, with what shows it, and nothing else."""

import pytest

from chaos.broken import Broken
from chaos.check_leases import Lateness
from chaos.checker import check
from support.histories import TTL_MS, History


@pytest.fixture
def history() -> History:
    return History()


def only(history: History, lateness: Lateness | None = None) -> Broken:
    """Return the one broken promise."""
    found = check(history.lines, lateness)
    assert len(found) == 1, "\n".join(map(str, found))
    return found[0]


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
    history.live("a")
    history.end("a", "RESOURCE_LOST")
    history.clean("a")
    history.use("a")
    assert check(history.lines) == []


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
            said = {"fault": "kill", "target": name, "hurts": name}
            history.write("lab", "fault", phase=phase, **said)
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
    said = {"fault": "kill", "target": "allocate-1", "hurts": "allocate-1"}
    history.write("lab", "fault", phase="begin", **said)
    history.wait(TTL_MS + 300)
    history.write("lab", "fault", phase="end", **said)
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


def test_a_transition_that_no_table_has(history: History) -> None:
    history.submit("a")
    history.log("ready", ("allocation", "a", {"state": "READY"}))
    history.log("release", ("allocation", "a", {"state": "ENDED"}))
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


def test_a_lab_that_stands_still(history: History) -> None:
    history.write("lab", "stuck", fault="cut", s=30)
    assert only(history).promise == 9


def test_records_that_are_not_what_the_log_has_told(history: History) -> None:
    history.log("describe", ("resource", "board", {"fence": 7}))
    history.write("lab", "records", allocation={}, resource={"board": {"fence": "8"}})
    assert only(history).promise == 10


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


def test_a_release_that_was_acknowledged_and_lost(history: History) -> None:
    history.submit("a")
    history.call("release", allocation="a")
    assert only(history).promise == 13


def test_a_redis_that_has_lost_changes(history: History) -> None:
    history.write("log", "rewound", revision=1, before=2)
    assert only(history).promise == 13


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


def test_a_fault_of_a_service(history: History) -> None:
    history.call("beat", "refused", allocation="a", reason="INTERNAL")
    assert only(history).promise == 0


def test_an_error_that_the_sdk_should_have_hidden(history: History) -> None:
    history.write("c", "trouble", error="LabUnavailable", why="the stream was lost")
    assert only(history).promise == 0
