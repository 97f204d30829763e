"""Matching classes as bits: who matches what, what helps whom, and what is forgotten."""

import pytest

from hwprovisioner.allocate.demand import HostDemand
from hwprovisioner.allocate.planning import classes as classes_module
from hwprovisioner.allocate.planning.asked import RequestClass
from hwprovisioner.allocate.planning.classes import Classes
from hwprovisioner.allocate.planning.inventory import Standing
from hwprovisioner.allocate.room import Room
from support.planning import a_set, divisible, exclusive, with_labels

X, Y, ANY = with_labels("x"), with_labels("y"), HostDemand()


def known(**labels: str) -> Classes:
    """Classes of a lab with one machine for each name."""
    found = Classes()
    for name, letters in labels.items():
        found.inventory.put(name, Standing(Room.whole(exclusive(letters))))
    return found


def asked(classes: Classes, *demands: HostDemand) -> RequestClass:
    wanted = a_set(*demands)
    return classes.get(repr(wanted), wanted)


def test_equal_keys_are_one_class() -> None:
    classes = known()
    assert asked(classes, X) is asked(classes, X)
    assert asked(classes, X) is not asked(classes, Y)
    assert len(classes) == 2


def test_shapes_match_whether_they_or_the_class_came_first() -> None:
    classes = known(a="x")
    found = asked(classes, X, Y)
    classes.inventory.put("b", Standing(Room.whole(exclusive("y"))))
    assert classes.matching("a") == classes.matching("b") == found.bit
    assert found.awaits == classes.inventory.open
    classes.inventory.put("b", None)
    assert found.awaits == classes.inventory.open


def test_a_named_resource_is_awaited_by_its_name_only() -> None:
    classes = known(a="x", b="x")
    found = asked(classes, HostDemand(resource="a"))
    assert classes.of_resource("a") == found.bit
    assert classes.of_resource("b") == 0
    assert classes.named(["b", "a"]) == found.bit


def test_a_set_awaits_only_what_would_help_it_until_enough_of_it_is_open() -> None:
    classes = known(a="x", b="y")
    found = asked(classes, X, X, Y)
    [options] = {found.hosts["h0"]}
    classes.await_only(found, options, 2)
    assert classes.of_resource("a") == found.bit
    assert classes.of_resource("b") == 0
    assert classes.lacking == found.bit
    classes.note_open(classes.inventory.shape_of("b"))
    assert classes.lacking == found.bit
    classes.note_open(classes.inventory.shape_of("a"))
    assert classes.lacking == 0


def test_a_new_shape_may_help_a_set_that_lacked_another() -> None:
    classes = known(a="x", b="y")
    found = asked(classes, X, X, Y)
    classes.await_only(found, found.hosts["h0"], 2)
    classes.inventory.put("c", Standing(Room.whole(exclusive("yz"))))
    assert classes.of_resource("c") == found.bit
    assert classes.lacking == 0


def test_nobody_counts_how_many_are_lacking_of_what_is_shared_or_named() -> None:
    classes = known(a="x")
    classes.inventory.put("d", Standing(Room.whole(divisible(8, labels="y"))))
    shared = asked(classes, Y, Y)
    classes.await_only(shared, shared.hosts["h0"], 2)
    named = asked(classes, HostDemand(resource="a"), X)
    classes.await_only(named, [*named.hosts["h0"], *named.hosts["h1"]], 2)
    assert classes.lacking == 0


def test_need_counts_who_waits_and_then_who_may_come() -> None:
    classes = known(a="x")
    one, _ = asked(classes, X), asked(classes, ANY)
    classes.enqueue(one, 60_000)
    shape = classes.inventory.shape_of("a")
    assert classes.need(shape) == (1, 2)
    assert classes.bounded == classes.queued == one.bit
    assert classes.all_queued() == [one]
    classes.dequeue(one, 60_000)
    assert classes.need(shape) == (0, 2)
    assert classes.bounded == classes.queued == 0


def test_rivals_are_all_who_match_what_a_host_could_have_even_if_it_came_later() -> None:
    classes = known(a="x", b="xy")
    one, two = asked(classes, X), asked(classes, Y)
    named = asked(classes, HostDemand(resource="later"))
    assert classes.rivals(two.lone) == one.bit | two.bit
    assert classes.rivals(named.lone) == 0
    three = asked(classes, ANY)
    assert classes.rivals(two.lone) == one.bit | two.bit | three.bit
    classes.inventory.put("later", Standing(Room.whole(exclusive("x"))))
    assert classes.rivals(named.lone) == one.bit | three.bit | named.bit


def test_unused_classes_are_forgotten_the_longest_unasked_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classes_module, "UNUSED_KEPT", 2)
    classes = known(a="x")
    queued = asked(classes, ANY)
    classes.enqueue(queued, 0)
    first, second = asked(classes, X), asked(classes, X, X)
    assert asked(classes, X) is first
    third = asked(classes, X, ANY)
    assert third.bit == 1 << 3
    assert asked(classes, X) is first
    assert len(classes) == 3
    reused = asked(classes, X, X)
    assert reused is not second
    assert asked(classes, ANY) is queued


def test_the_bit_of_a_forgotten_class_stands_for_the_next_and_nothing_of_it_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(classes_module, "UNUSED_KEPT", 1)
    classes = known(a="x", b="y")
    gone = asked(classes, X, X)
    classes.await_only(gone, gone.hosts["h0"], 2)
    asked(classes, HostDemand(resource="a"))
    again = asked(classes, Y, Y)
    assert again.bit == gone.bit
    assert classes.lacking == 0
    assert classes.of_resource("a") == 0
    assert classes.matching("b") == again.bit
    assert not classes.is_named("a")
