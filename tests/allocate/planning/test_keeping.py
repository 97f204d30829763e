"""What sets keep while they wait, and who may use that meanwhile."""

from typing import Any

import pytest

from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.planning.finding import Finder
from hwprovisioner.allocate.planning.keeping import roomiest
from hwprovisioner.allocate.planning.planner import Planner
from hwprovisioner.allocate.planning.wish import Wish
from support.planning import SmallLab, cpus, divisible, exclusive, with_labels

X, Y, Z = with_labels("x"), with_labels("y"), with_labels("z")


def busy(lab: SmallLab, *names: str) -> None:
    for name in names:
        lab.use(name)


def lab_of(**labels: str) -> SmallLab:
    """A lab with a machine for each name."""
    return SmallLab(specs={name: exclusive(letters) for name, letters in labels.items()})


def test_a_large_set_keeps_what_it_could_have_from_those_behind_it() -> None:
    lab = lab_of(a="x", b="x", c="x")
    busy(lab, "c")
    lab.ask("set", X, X, X)
    for number in range(5):
        lab.ask(f"small{number}", X)
    assert lab.granted() == {}
    assert lab.kept == {"set": {"a", "b"}}


def test_a_large_set_is_not_starved_by_a_stream_of_small_ones() -> None:
    lab = lab_of(a="x", b="x", c="x")
    busy(lab, *"abc")
    lab.ask("set", X, X, X)
    for freed in "ab":
        lab.ask(f"small {freed}", X)
        lab.free(freed)
        assert lab.granted() == {}
    lab.free("c")
    [placed] = lab.granted().values()
    assert sorted(placed) == ["a", "b", "c"]


def test_a_request_that_cannot_come_keeps_nothing() -> None:
    lab = lab_of(a="x", b="y")
    lab.stand("b", "its manager is lost", can_open=False)
    lab.ask("pair", X, Y)
    lab.ask("one", X)
    assert lab.granted() == {"one": ["a"]}


def test_a_set_of_equal_hosts_that_cannot_all_come_keeps_nothing() -> None:
    lab = lab_of(a="x", b="x")
    lab.stand("b", "its manager is lost", can_open=False)
    lab.ask("pair", X, X)
    lab.ask("one", X)
    assert lab.granted() == {"one": ["a"]}


def test_a_set_that_waits_for_what_rests_keeps_its_other_hosts() -> None:
    lab = lab_of(a="x", b="y")
    lab.stand("b", "declined")
    lab.ask("pair", X, Y)
    lab.ask("one", X)
    assert lab.granted() == {}
    lab.stand("b")
    assert lab.granted() == {"pair": ["a", "b"]}


def test_what_a_set_keeps_is_found_anew_only_when_something_that_it_needs_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = lab_of(a="x", b="y", c="z")
    busy(lab, "b", "c")
    lab.ask("pair", X, Y)
    assert lab.granted() == {}
    placed: list[Wish] = []
    place = Finder.place

    def spied(self: Finder, wish: Wish, *args: Any) -> Any:
        placed.append(wish)
        return place(self, wish, *args)

    monkeypatch.setattr(Finder, "place", spied)
    lab.free("c")
    lab.ask("one", Z)
    lab.ask("behind", X)
    assert lab.granted() == {"one": ["c"]}
    assert not placed
    assert lab.kept == {"pair": {"a"}}
    lab.free("b")
    assert lab.granted() == {"pair": ["a", "b"]}
    assert len(placed) == 1


def test_who_stands_before_a_set_takes_what_it_keeps_if_nothing_else_will_do() -> None:
    lab = lab_of(a="x", b="x", c="x")
    busy(lab, "b", "c")
    lab.ask("set", X, X, X)
    lab.granted()
    lab.free("b")
    lab.ask("first", X, priority=1)
    assert lab.granted() == {"first": ["b"]}
    assert lab.kept == {"set": {"a"}}
    lab.ask("second", X, priority=1)
    assert lab.granted() == {"second": ["a"]}
    assert lab.kept == {}


def test_who_has_come_to_the_front_takes_what_others_keep() -> None:
    lab = lab_of(a="x", b="x")
    busy(lab, "b")
    lab.planner.queue.hold("late", 2)
    lab.ask("pair", X, X, user="early")
    lab.ask("one", X, user="late")
    assert lab.granted() == {}
    lab.planner.queue.hold("late", -2)
    lab.planner.queue.hold("early", 2)
    assert lab.granted() == {"one": ["a"]}


def test_what_is_kept_is_let_go_when_the_set_leaves() -> None:
    lab = lab_of(a="x", b="x")
    busy(lab, "b")
    lab.ask("pair", X, X)
    lab.ask("one", X)
    lab.granted()
    lab.planner.remove("pair")
    assert lab.granted() == {"one": ["a"]}


def test_what_is_kept_is_let_go_when_the_rest_can_no_longer_come() -> None:
    lab = lab_of(a="x", b="x")
    busy(lab, "b")
    lab.ask("pair", X, X)
    lab.ask("one", X)
    lab.granted()
    lab.stand("b", "its manager is lost", can_open=False)
    assert lab.granted() == {"one": ["a"]}


def test_only_the_first_keeps_what_several_sets_lack() -> None:
    lab = lab_of(a="x", b="y", c="z")
    busy(lab, "a")
    lab.ask("first", X, Y)
    lab.ask("second", X, Z)
    lab.ask("small", Z)
    assert lab.granted() == {"small": ["c"]}
    assert lab.kept == {"first": {"b"}}


def test_two_sets_that_want_what_the_other_has_do_not_wait_for_ever() -> None:
    lab = lab_of(a="x", b="y")
    busy(lab, *"ab")
    lab.ask("one", X, Y)
    lab.ask("two", Y, X)
    lab.free("b")
    assert lab.granted() == {}
    lab.free("a")
    assert lab.granted() == {"one": ["a", "b"]}
    lab.free("a")
    lab.free("b")
    assert lab.granted() == {"two": ["b", "a"]}


def lab_with_sets_out_of_turn(*kinds: str) -> SmallLab:
    """Of each kind five machines in use; one waits for the last of them before a set of four."""
    lab = SmallLab(specs={f"{kind}{n}": exclusive(kind) for kind in kinds for n in range(5)})
    busy(lab, *lab.specs)
    for kind in kinds:
        others = frozenset(f"{kind}{n}" for n in range(4))
        lab.ask(f"last {kind}", with_labels(kind), excluded=others)
        lab.ask(f"four {kind}", *[with_labels(kind)] * 4)
    return lab


def test_a_set_that_cannot_be_whole_keeps_no_other_from_its_own_bottleneck() -> None:
    lab = lab_with_sets_out_of_turn("x", "y")
    lab.free("x0", "y0")
    assert lab.granted() == {}
    lab.planner.remove("last y")
    lab.ask("small", Y)
    lab.free("x1", "y1")
    assert lab.granted() == {}
    assert lab.kept == {"four y": {"y0", "y1"}}


def test_a_set_that_can_be_whole_is_seen_behind_one_that_cannot_be_and_has_no_turn() -> None:
    lab = lab_with_sets_out_of_turn("x")
    lab.ask("three", X, X, X)
    lab.free("x0")
    assert lab.granted() == {}
    lab.free("x1", "x2")
    [granted] = lab.granted()
    assert granted == "three"


def test_who_waits_for_a_rare_machine_keeps_no_set_of_plain_ones_from_its_turn() -> None:
    lab = lab_of(a="x", b="x", rare="xy")
    busy(lab, "rare")
    busy(lab, "b")
    lab.ask("rare one", Y)
    lab.ask("pair", X, X)
    lab.ask("small", X)
    assert lab.granted() == {}
    assert lab.kept == {"pair": {"a"}}


def test_who_can_never_come_keeps_no_set_from_its_turn() -> None:
    lab = lab_of(a="x", b="x", away="y")
    lab.stand("away", "its manager is lost", can_open=False)
    busy(lab, "b")
    lab.ask("never", X, X, Y)
    lab.ask("pair", X, X)
    lab.ask("small", X)
    assert lab.granted() == {}
    assert lab.kept == {"pair": {"a"}}


def test_who_is_over_quota_keeps_no_set_from_its_turn() -> None:
    planner = Planner(over_quota=lambda request, _: "over" if request.user == "greedy" else "")
    lab = SmallLab(planner, a=exclusive("x"), b=exclusive("x"))
    busy(lab, "b")
    lab.ask("too much", X, user="greedy")
    lab.ask("pair", X, X)
    lab.ask("small", X)
    assert lab.granted() == {}
    assert lab.kept == {"pair": {"a"}}


def test_the_roomiest_shared_machine_is_the_named_one_or_one_that_is_not_excluded() -> None:
    lab = SmallLab(a=divisible(8), b=divisible(8), c=divisible(8), e=exclusive())
    lab.use("a", 4)
    lab.use("b", 2)
    lab.use("c", 6)
    finder = lab.planner.finder
    asked = lab.ask("any", cpus(8)).asked
    assert roomiest(Wish(asked), asked.lone, finder) == "b"
    assert roomiest(Wish(asked, frozenset("b")), asked.lone, finder) == "a"
    named = lab.ask("named", HostDemand(resource="c", cpus=cpus(8).cpus)).asked
    assert roomiest(Wish(named), named.lone, finder) == "c"
    alone = lab.ask("alone", HostDemand(resource="e")).asked
    assert roomiest(Wish(alone), alone.lone, finder) == ""
