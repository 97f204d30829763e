"""The checker on managers that were started twice, and on what the SDK should hide."""

from chaos.check_twins import GRACE_S
from chaos.checker import check
from support.histories import History, only


def with_twins(history: History) -> None:
    """The newer one cleans what the older one had prepared."""
    register(history)
    history.hardware("prepare", "board.1", pid=1)
    register(history)
    history.hardware("clean", "board.1", pid=2)
    history.hardware("cleaned", "board.1", pid=2)


def register(history: History) -> None:
    history.log("register", ("manager", "m", {"presence": "ONLINE"}))


def test_an_older_manager_that_leaves_its_boards_alone(history: History) -> None:
    with_twins(history)
    history.write("lab", "superseded", manager="m", older=1, newer=2)
    assert check(history.lines) == []


def test_an_older_manager_that_goes_on(history: History) -> None:
    with_twins(history)
    history.wait(GRACE_S * 1000)
    history.hardware("clean", "board.1", pid=1)
    history.write("lab", "superseded", manager="m", older=1, newer=2)
    broken = only(history)
    assert broken.promise == 6
    assert "of which a newer one had registered" in broken.what


def test_an_older_manager_that_finishes_what_it_was_at_when_it_was_replaced(
    history: History,
) -> None:
    with_twins(history)
    history.hardware("prepare", "board.3", "b", pid=2)
    history.hardware("cleaned", "board.1", pid=1)
    history.hardware("cleaned", "board.3", "b", pid=2)
    history.write("lab", "superseded", manager="m", older=1, newer=2)
    assert check(history.lines) == []


def test_an_older_manager_that_registered_once_more_is_the_newest(history: History) -> None:
    with_twins(history)
    history.wait(GRACE_S * 1000)
    register(history)
    history.hardware("clean", "board.1", pid=1)
    history.write("lab", "superseded", manager="m", older=2, newer=1)
    assert check(history.lines) == []


def test_an_sdk_that_loses_its_lease_though_nobody_was_hit(history: History) -> None:
    history.fault("begin", "")
    history.fault("end", "")
    history.write("c", "lost", allocation="a", reason="EXPIRED", why="it is over")
    assert only(history).promise == 0


def test_an_sdk_that_loses_its_lease_for_a_cause(history: History) -> None:
    history.fault("begin", "redis")
    history.fault("end", "redis")
    history.write("c", "lost", allocation="a", reason="EXPIRED", why="it is over")
    assert check(history.lines) == []
