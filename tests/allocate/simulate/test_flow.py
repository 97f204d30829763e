import pytest

from hwprovisioner.allocate.simulate.flow import SINK, SOURCE, Edges, fair_shares, max_flow


def test_flow_is_rerouted_to_let_more_through() -> None:
    edges: Edges = {
        (SOURCE, "a"): 1,
        (SOURCE, "b"): 1,
        ("a", "x"): 1,
        ("a", "y"): 1,
        ("b", "x"): 1,
        ("x", SINK): 1,
        ("y", SINK): 1,
    }
    assert max_flow(edges) == 2
    assert max_flow({**edges, ("a", "y"): 0}) == 1


def test_shares_are_even_by_weight_and_what_is_not_wanted_goes_on() -> None:
    edges: Edges = {("a", "x"): 900, ("b", "x"): 900, ("c", "x"): 900, ("x", SINK): 900}
    even = {"a": 1.0, "b": 1.0, "c": 1.0}
    wants = {"a": 900, "b": 900, "c": 900}
    assert fair_shares(wants, even, edges) == pytest.approx({"a": 300, "b": 300, "c": 300}, abs=2)
    weighted = fair_shares(wants, {**even, "a": 4.0}, edges)
    assert weighted == pytest.approx({"a": 600, "b": 150, "c": 150}, abs=2)
    modest = fair_shares({**wants, "c": 100}, even, edges)
    assert modest == pytest.approx({"a": 400, "b": 400, "c": 100}, abs=2)


def test_who_cannot_use_something_leaves_it_to_others() -> None:
    edges: Edges = {
        ("a", "x"): 900,
        ("b", "x"): 900,
        ("b", "y"): 900,
        ("x", SINK): 300,
        ("y", SINK): 900,
    }
    found = fair_shares({"a": 900, "b": 900}, {"a": 1.0, "b": 1.0}, edges)
    assert found == pytest.approx({"a": 300, "b": 900}, abs=2)
