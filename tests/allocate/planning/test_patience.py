"""When a set begins to keep, and when it lets some resources go by first."""

import pytest

from hwprovisioner.allocate.planning.patience import most_let_by
from support.planning import SmallLab, exclusive, with_labels

X = with_labels("x")


def lab_where(*, sets: int, singles: int) -> SmallLab:
    """Four machines in use, of two users who hold so much; a pair and single requests wait."""
    lab = SmallLab(specs={name: exclusive("x") for name in "abcd"})
    for name in "abcd":
        lab.use(name)
    lab.planner.queue.hold("sets", sets)
    lab.planner.queue.hold("singles", singles)
    lab.ask("pair", X, X, user="sets")
    for number in range(5):
        lab.ask(f"single{number}", X, user="singles")
    return lab


def gone_by(lab: SmallLab) -> int:
    """Free one machine after the other until something is kept; return how many went by."""
    for count in range(10):
        lab.free("a")
        if not lab.granted():
            assert lab.kept == {"pair": {"a"}}
            return count
        lab.use("a")
    raise AssertionError("the pair keeps nothing")


def test_a_set_lets_three_resources_go_by_for_each_two_hosts_before_it_keeps() -> None:
    assert gone_by(lab_where(sets=2, singles=2)) == most_let_by(2) == 3


@pytest.mark.parametrize("sets", [0, 1, 2])
def test_none_goes_by_if_its_user_would_have_no_more_than_the_others_even_with_it(
    sets: int,
) -> None:
    assert gone_by(lab_where(sets=sets, singles=sets + 2)) == 0


def test_none_goes_by_if_its_user_has_had_nothing_lately() -> None:
    assert gone_by(lab_where(sets=0, singles=1)) == 0


def test_a_set_that_lets_some_go_by_takes_what_another_leaves_whole() -> None:
    lab = lab_where(sets=2, singles=2)
    lab.free("a")
    assert lab.granted() == {"single0": ["a"]}
    lab.free("b", "c")
    assert lab.granted() == {"pair": ["b", "c"]}


def test_what_is_begun_is_gone_on_with() -> None:
    lab = lab_where(sets=1, singles=3)
    lab.free("a")
    assert lab.granted() == {}
    lab.planner.queue.hold("singles", -2)  # It is not far behind any more.
    lab.free("b")
    [placed] = lab.granted().values()
    assert sorted(placed) == ["a", "b"]


def test_without_rivals_none_goes_by() -> None:
    lab = lab_where(sets=2, singles=2)
    for number in range(5):
        lab.planner.remove(f"single{number}")
    lab.free("a")
    assert lab.granted() == {}
    assert lab.kept == {"pair": {"a"}}
