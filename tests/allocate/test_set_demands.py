"""How sets of demands are read: copies, relations, and what is stored."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import HostDemand, Relation, RelationKind, SetDemand
from hwprovisioner.allocate.notation import Bounds
from hwprovisioner.allocate.set_demands import (
    class_id,
    demands_message,
    host_message,
    read_set,
    stored_set,
    text_of,
)
from hwprovisioner.allocate.specs import to_json
from hwprovisioner.v1.demand_pb2 import Demands
from hwprovisioner.v1.demand_pb2 import HostDemand as HostMessage
from support.asking import wanting
from support.refused import HUGE, refused, violations_of

SAME, DIFFERENT = 1, 2


def related(demands: Demands, *relations: tuple[int, str, list[str]]) -> Demands:
    for kind, label, hosts in relations:
        demands.relations.add(kind=kind, label=label, hosts=hosts)
    return demands


def three(**more: Any) -> Demands:
    return wanting(a={}, b={}, c={}, **more)


def test_copies_have_names_of_their_own_and_the_same_demand() -> None:
    found = read_set(wanting(db={"cpus": "8", "count": 3}, edge={"count": 1}))
    eight = HostDemand(cpus=Bounds(8))
    assert found == SetDemand({"db-1": eight, "db-2": eight, "db-3": eight, "edge": HostDemand()})


def test_64_hosts_are_allowed_copies_counted() -> None:
    assert len(read_set(wanting(a={"count": 63}, b={})).hosts) == 64
    wrong = violations_of(lambda: read_set(wanting(a={"count": 63}, b={}, c={})))
    assert wrong == {"demands.hosts": "has 65 hosts, copies counted: must have from 1 to 64"}


@pytest.mark.parametrize(
    ("demands", "fields"),
    [
        (Demands(), ["demands.hosts"]),
        (wanting(**{f"h{n}": {} for n in range(65)}), ["demands.hosts"]),
        (wanting(a={"count": -1}), ["demands.hosts['a'].count"]),
        (wanting(a={"count": 65}), ["demands.hosts['a'].count"]),
        (wanting(a={"count": 2**31 - 1}), ["demands.hosts['a'].count"]),
        (wanting(**{"a": {"count": 2}, "a-2": {}}), ["demands.hosts['a-2']"]),
        (wanting(**{"a" * 61: {"count": 10}}), [f"demands.hosts['{'a' * 40}…'].count"]),
        (wanting(**{HUGE: {"count": 2}}), [f"demands.hosts['{'x' * 40}…']"]),
    ],
)
def test_what_is_wrong_with_hosts_is_named_once(demands: Demands, fields: list[str]) -> None:
    assert refused(lambda: read_set(demands)) == fields


def test_the_longest_names_of_copies_are_allowed() -> None:
    assert len(read_set(wanting(**{"a" * 61: {"count": 9}})).hosts) == 9


def test_relations_are_about_copies_and_in_order() -> None:
    demands = related(
        wanting(b={}, a={"count": 2}),
        (SAME, "switch", ["b", "a", "b"]),
        (DIFFERENT, "rack", []),
        (DIFFERENT, "rack", ["a"]),
        (DIFFERENT, "rack", []),
    )
    assert read_set(demands).relations == (
        Relation(RelationKind.DIFFERENT, "rack", ("a-1", "a-2")),
        Relation(RelationKind.DIFFERENT, "rack", ("a-1", "a-2", "b")),
        Relation(RelationKind.SAME, "switch", ("a-1", "a-2", "b")),
    )


@pytest.mark.parametrize(
    ("relations", "fields"),
    [
        ([(0, "rack", [])], ["relations[0].kind"]),
        ([(9, "rack", [])], ["relations[0].kind"]),
        ([(SAME, "", []), (SAME, HUGE, [])], ["relations[0].label", "relations[1].label"]),
        ([(SAME, "rack", ["a"])], ["relations[0].hosts"]),
        ([(SAME, "rack", ["a", "a"])], ["relations[0].hosts"]),
        ([(SAME, "rack", ["a", "x", HUGE])], ["relations[0].hosts[1]", "relations[0].hosts[2]"]),
        ([(SAME, "rack", ["a"] * 65)], ["relations[0].hosts"]),
        ([(SAME, f"l{n}", []) for n in range(17)], ["relations"]),
        ([(SAME, "rack", ["a", "b"]), (DIFFERENT, "rack", ["b", "a"])], ["relations"]),
        (
            [
                (SAME, "rack", ["a", "b"]),
                (DIFFERENT, "rack", ["a", "c"]),
                (SAME, "rack", ["b", "c"]),
            ],
            ["relations"],
        ),
    ],
)
def test_what_is_wrong_with_relations_is_named_once(
    relations: list[tuple[int, str, list[str]]], fields: list[str]
) -> None:
    wrong = refused(lambda: read_set(related(three(), *relations)))
    assert [field.removeprefix("demands.") for field in wrong] == fields


def test_relations_that_go_together_are_allowed() -> None:
    demands = related(
        three(),
        (SAME, "switch", []),
        (DIFFERENT, "rack", []),
        (SAME, "room", ["a", "b"]),
        (DIFFERENT, "room", ["b", "c"]),
    )
    assert len(read_set(demands).relations) == 4


@pytest.mark.parametrize(
    ("kind", "labels", "refuses"),
    [
        (SAME, ("rack=7", "rack=8"), True),
        (SAME, ("rack=7", "rack=7"), False),
        (SAME, ("rack=7", "rack"), False),
        (DIFFERENT, ("rack=7", "rack=7"), True),
        (DIFFERENT, ("rack=7", "rack=8"), False),
        (DIFFERENT, ("room=7", "room=7"), False),
    ],
)
def test_labels_and_relations_must_not_contradict_each_other(
    kind: int, labels: tuple[str, str], refuses: bool
) -> None:
    hosts: dict[str, Any] = {n: {"labels": [x]} for n, x in zip("ab", labels, strict=True)}
    demands = related(wanting(**hosts), (kind, "rack", []))
    if refuses:
        assert (
            "drop the relation or a label"
            in violations_of(lambda: read_set(demands))["demands.relations"]
        )
    else:
        assert read_set(demands).relations


def test_what_only_some_alternatives_ask_for_contradicts_nothing() -> None:
    either = {"any_of": [{"labels": ["rack=7"]}, {"labels": ["rack=8"]}]}
    demands = related(wanting(a=either, b={"labels": ["rack=7"]}), (SAME, "rack", []))
    assert read_set(demands).relations


@given(order=st.permutations([(SAME, "x", ["b", "a"]), (DIFFERENT, "y", ["c", "a", "b"])]))
def test_the_order_of_relations_does_not_matter(order: list[tuple[int, str, list[str]]]) -> None:
    backwards = [(kind, label, hosts[::-1]) for kind, label, hosts in order]
    expected = read_set(related(three(), *sorted(order)))
    assert read_set(related(three(), *backwards)) == expected


def test_what_was_accepted_is_the_same_after_it_was_stored() -> None:
    demands = related(wanting(a={"count": 2, "any_of": [{"cpus": "8"}, {}]}), (SAME, "x", []))
    text = to_json(demands)
    assert stored_set(text) == read_set(demands)
    assert stored_set(text) is stored_set(text)
    assert demands_message(text) == demands


@pytest.mark.parametrize(
    "demand",
    [
        {"labels": ["rack=7", "rack=8"]},
        {"where": "resource.what_there_once_was > 1"},
        {"resource": "a", "not_resources": ["a"]},
        {"cpus": "8", "any_of": [{"cpus": "9"}, {"memory": "4"}]},
    ],
)
def test_what_is_stored_is_read_though_it_would_be_refused_by_now(demand: dict[str, Any]) -> None:
    demands = wanting(db=demand)
    assert refused(lambda: read_set(demands))
    stored = stored_set(to_json(demands)).hosts["db"]
    assert stored != HostDemand()
    assert len(stored.options) == max(1, len(demand.get("any_of", [])))


def test_what_is_asked_of_a_copy_is_a_message_of_its_own() -> None:
    text = to_json(wanting(**{"a": {"count": 2, "any_of": [{"cpus": "8"}, {}]}, "a-b": {}}))
    assert host_message(text, "a-2", 0) == HostMessage(cpus="8")
    assert host_message(text, "a-2", 1) == HostMessage()
    host_message(text, "a-1", 0).cpus = "changed"
    assert host_message(text, "a-1", 0).cpus == "8"
    assert demands_message(text).hosts.keys() == {"a", "a-b"}


def test_classes_are_told_apart_by_a_short_digest() -> None:
    one, other = (class_id(to_json(wanting(db={"cpus": n}))) for n in ("8", "9"))
    assert one != other
    assert len(one) == len(other) == 16
    assert set(one) <= set("0123456789abcdef")
    # It names a class in a lab's records, so it stays the same.
    assert class_id("{}") == "44136fa355b3678a"


def test_what_was_asked_before_is_known_and_what_was_refused_is_refused_again() -> None:
    asked = wanting(b={"cpus": "8"}, a={"labels": ["x"]})
    again = wanting(a={"labels": ["x"]}, b={"cpus": "8"})
    assert read_set(asked) is read_set(again)
    assert text_of(asked) == to_json(asked) == text_of(again)
    for _ in range(2):
        assert refused(lambda: read_set(wanting(a={"cpus": "x"}))) == ["demands.hosts['a'].cpus"]
    longer = wanting(a={"where": "true" + " || true" * 600})
    assert text_of(longer) == to_json(longer)
