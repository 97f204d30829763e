"""One decision after the other on small labs: who is granted what, and who is not."""

import pytest

from hwprovisioner.allocate.demand import Gpu, HostDemand, RelationKind
from hwprovisioner.allocate.notation import Bounds
from hwprovisioner.allocate.planning import classes
from hwprovisioner.allocate.planning.finding import Finder
from hwprovisioner.allocate.planning.planner import Planner
from support.planning import (
    SmallLab,
    cpus,
    divisible,
    either,
    exclusive,
    in_rack,
    related,
    with_labels,
)

X, Y, Z, ANY = with_labels("x"), with_labels("y"), with_labels("z"), HostDemand()


def named(name: str, number: int | None = None) -> HostDemand:
    return HostDemand(resource=name, cpus=Bounds(number))


def test_the_first_in_the_queue_goes_first() -> None:
    lab = SmallLab(a=exclusive())
    lab.ask("one", ANY)
    lab.ask("two", ANY)
    assert lab.granted() == {"one": ["a"]}
    lab.free("a")
    assert lab.granted() == {"two": ["a"]}


def test_a_set_is_granted_whole_or_not_at_all() -> None:
    lab = SmallLab(a=exclusive("x"), b=exclusive("x"))
    lab.ask("three", X, X, X)
    assert lab.granted() == {}
    lab.planner.remove("three")
    lab.ask("two", X, X)
    assert lab.granted() == {"two": ["a", "b"]}


def test_requests_for_another_kind_go_ahead_of_one_that_waits() -> None:
    lab = SmallLab(a=exclusive("x"), b=exclusive("y"))
    lab.use("a")
    lab.ask("x", X)
    lab.ask("y", Y)
    assert lab.granted() == {"y": ["b"]}


def test_what_failed_a_request_is_not_tried_again_by_it_but_by_others() -> None:
    lab = SmallLab(a=exclusive("x"))
    lab.ask("one", X, excluded=frozenset("a"))
    lab.ask("two", X)
    assert lab.granted() == {"two": ["a"]}


def test_nothing_is_decided_where_nothing_has_changed() -> None:
    lab = SmallLab(a=exclusive())
    lab.ask("one", ANY)
    lab.ask("two", ANY)
    lab.granted()
    assert lab.granted() == {}


def test_what_a_script_refused_is_set_anew_and_granted_again() -> None:
    lab = SmallLab(a=exclusive())
    request = lab.ask("one", ANY)
    lab.decide()
    lab.free("a")
    lab.planner.add(request)
    assert lab.granted() == {"one": ["a"]}


def test_who_is_over_quota_waits_and_those_behind_go_ahead_until_it_is_looked_again() -> None:
    over = {"greedy"}
    planner = Planner(over_quota=lambda request, _: "over" if request.user in over else "")
    lab = SmallLab(planner, a=exclusive())
    lab.ask("one", ANY, user="greedy")
    lab.ask("two", ANY, user="greedy")
    lab.ask("three", ANY)
    assert lab.granted() == {"three": ["a"]}
    lab.free("a")
    assert lab.granted() == {}
    over.clear()
    planner.look_again(["one"])
    assert lab.granted() == {"one": ["a"]}


# What is taken of it


def test_a_plain_demand_leaves_the_special_machine_while_a_plain_one_is_free() -> None:
    card = (Gpu("nvidia", "a100"),)
    lab = SmallLab(box=exclusive("x", gpus=card), plain=exclusive())
    lab.ask("one", ANY)
    lab.ask("two", ANY)
    assert lab.granted() == {"one": ["plain"], "two": ["box"]}


def test_what_the_fewest_others_need_goes_first_even_if_it_is_less_plain() -> None:
    lab = SmallLab(wanted=exclusive("x"), special=exclusive("yz"))
    lab.use("wanted")
    lab.ask("waits", X)
    lab.ask("waits too", X)
    lab.granted()
    lab.free("wanted")
    lab.ask("plain", ANY, priority=1)
    assert lab.granted() == {"plain": ["special"], "waits": ["wanted"]}


@pytest.mark.parametrize("order", ["xy", "yx"])
def test_between_equals_it_does_not_matter_what_came_first(order: str) -> None:
    lab = SmallLab(specs={letter: exclusive(letter) for letter in order})
    lab.ask("any", ANY)
    lab.ask("x", X)
    lab.ask("y", Y)
    assert lab.granted() == {"any": ["x"], "y": ["y"]}


def test_on_shared_machines_the_tightest_fit_goes_first() -> None:
    lab = SmallLab(a=divisible(8), b=divisible(8), c=divisible(8))
    lab.use("a", 2)
    lab.use("b", 5)
    lab.use("c", 6)
    lab.ask("three", cpus(3))
    assert lab.granted() == {"three": ["b"]}


def test_the_first_of_the_alternatives_that_can_be_had_wins() -> None:
    lab = SmallLab(a=exclusive("x"), b=exclusive("y"), c=exclusive("z"))
    lab.use("a")
    lab.ask("one", either(X, Z, Y))
    assert lab.granted() == {"one": ["c"]}


def test_alternatives_of_one_machine_hide_no_other_machine() -> None:
    lab = SmallLab(a=exclusive("xy"), b=exclusive("y", gpus=(Gpu(),)))
    lab.ask("pair", either(X, Y), X)
    assert lab.granted() == {"pair": ["b", "a"]}


def test_hosts_of_the_same_rack_are_found_where_another_rack_has_a_part_of_them() -> None:
    lab = SmallLab(a=in_rack("1"), b=in_rack("2"), c=in_rack("2"), d=exclusive())
    lab.ask("pair", ANY, ANY, relations=[related(RelationKind.SAME, "h0", "h1")])
    assert lab.granted() == {"pair": ["b", "c"]}


def test_hosts_of_different_racks_are_found_behind_many_of_one_rack() -> None:
    many = {f"m{n}": in_rack("1") for n in range(20)}
    lab = SmallLab(specs={**many, "other": in_rack("2")})
    lab.ask("pair", ANY, ANY, relations=[related(RelationKind.DIFFERENT, "h0", "h1")])
    [placed] = lab.granted().values()
    assert "other" in placed
    assert len(set(placed)) == 2


# Named resources


def test_two_hosts_on_one_named_machine_are_forgotten_with_their_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classes, "UNUSED_KEPT", 1)
    lab = SmallLab(d=divisible(8))
    lab.ask("one", named("d", 2), named("d", 4))
    lab.planner.remove("one")
    for number in range(3):
        lab.planner.remove(lab.ask("other", cpus(number + 1)).id)
    assert len(lab.planner.classes) == 1
    assert not lab.planner.classes.is_named("d")


def test_a_set_of_named_machines_is_seen_behind_another_set_when_they_are_freed() -> None:
    lab = SmallLab(specs={name: exclusive("x") for name in "abcdefg"})
    for name in "abcdefg":
        lab.use(name)
    lab.ask("four", X, X, X, X)
    lab.ask("others", X, X, X, X, X)
    lab.ask("named", named("a"), named("b"), named("c"))
    lab.free("d")
    lab.granted()
    lab.planner.remove("four")
    lab.planner.remove("others")
    lab.ask("three", X, X, X, X, X, X)
    lab.granted()
    lab.free("a", "b", "c")
    lab.planner.remove("three")
    assert lab.granted() == {"named": ["a", "b", "c"]}


# Everything by the way


def test_feasible_and_coming_follow_what_is_registered_and_in_service() -> None:
    lab = SmallLab(a=exclusive("x"))
    pair = lab.ask("pair", X, X).asked
    assert not lab.planner.feasible(pair)
    lab.come("b", exclusive("x"))
    lab.use("b")
    assert lab.planner.feasible(pair)
    assert lab.planner.coming(pair)
    lab.stand("b", "lost", can_open=False)
    assert lab.planner.feasible(pair)
    assert not lab.planner.coming(pair)
    assert not lab.planner.feasible(pair, frozenset("a"))
    lab.stand("b", "declined")
    assert lab.planner.coming(pair)
    assert not lab.planner.coming(pair, frozenset("b"))
    lab.go("a")
    assert not lab.planner.feasible(pair)


def test_a_class_explosion_by_one_user_costs_others_no_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = 0
    original = Finder._will_do

    def counted(finder: Finder, *args: object) -> bool:
        nonlocal looks
        looks += 1
        return original(finder, *args)  # type: ignore[arg-type]

    def looks_of_a_decision(odd: int) -> int:
        nonlocal looks
        lab = SmallLab(a=exclusive("x", cpus=64), b=exclusive("y", cpus=9_000))
        lab.use("a")
        lab.use("b")
        for number in range(odd):
            demand = HostDemand(labels=Y.labels, cpus=Bounds(number + 1))
            lab.ask(f"odd{number}", demand, user="odd")
        lab.ask("plain", X)
        lab.ask("plain too", X)
        lab.granted()
        looks = 0
        lab.free("a")
        assert lab.granted() == {"plain": ["a"]}
        return looks

    monkeypatch.setattr(Finder, "_will_do", counted)
    assert looks_of_a_decision(5_000) == looks_of_a_decision(0)
