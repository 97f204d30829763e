"""How the demand for one host is read, and that every wrong field is named once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import (
    GpuDemand,
    HostDemand,
    OsDemand,
    Provisioning,
    Spec,
)
from hwprovisioner.allocate.host_demands import option_message, read_host_demand
from hwprovisioner.allocate.matching import mismatch
from hwprovisioner.allocate.notation import Bounds, VersionBounds
from hwprovisioner.allocate.set_demands import read_set
from hwprovisioner.v1 import demand_pb2, resource_pb2
from support.asking import wanting
from support.refused import HUGE, refused, violations_of

LONG = "resource.cpus > 1" + " " * 600


def wrong_in_host(**demand: Any) -> list[str]:
    fields = refused(lambda: read_set(wanting(db=demand)))
    return [field.removeprefix("demands.hosts['db'].") for field in fields]


def host(**demand: Any) -> HostDemand:
    return read_set(wanting(db=demand)).hosts["db"]


def test_all_fields_of_a_demand_are_read() -> None:
    demand = demand_pb2.HostDemand(
        kinds=[resource_pb2.RESOURCE_KIND_EDGE_DEVICE],
        cpus="4..8",
        memory=">=1GiB",
        gpus=[demand_pb2.GpuDemand(brand="NVIDIA", count=2), demand_pb2.GpuDemand(model="A100")],
        os=demand_pb2.OsDemand(family="Linux", version="==22.04"),
        labels=["rack=7", "fast", "rack=7"],
        resource="box-1",
        not_resources=["box-2", "box-2"],
        where="resource.cpus % 2 == 0",
        provisioning=demand_pb2.Provisioning(
            image="Ubuntu-22", disk="8GiB", parameters={"region": "eu"}
        ),
    )
    assert read_host_demand("demand", demand) == HostDemand(
        kinds=frozenset({"edge-device"}),
        cpus=Bounds(4, 8),
        memory=Bounds(2**30),
        gpus=(GpuDemand("", "a100"), GpuDemand("nvidia"), GpuDemand("nvidia")),
        os=OsDemand("linux", "", VersionBounds("22.04", "22.04")),
        labels=(("fast", None), ("rack", "7")),
        resource="box-1",
        not_resources=frozenset({"box-2"}),
        where="resource.cpus % 2 == 0",
        provisioning=Provisioning("Ubuntu-22", Bounds(2**33), frozenset({"region"})),
    )


@pytest.mark.parametrize(
    ("demand", "fields"),
    [
        ({"cpus": "-1"}, ["cpus"]),
        ({"cpus": "NaN"}, ["cpus"]),
        ({"cpus": HUGE}, ["cpus"]),
        ({"cpus": "9" * 200}, ["cpus"]),
        ({"memory": "lots"}, ["memory"]),
        ({"kinds": [1, 99, 0]}, ["kinds[1]", "kinds[2]"]),
        ({"kinds": [99] * 1_000_000}, ["kinds"]),
        ({"gpus": [{"count": -1}]}, ["gpus[0].count"]),
        ({"gpus": [{"count": 65}]}, ["gpus[0].count"]),
        ({"gpus": [{"count": 2**31 - 1}]}, ["gpus[0].count"]),
        ({"gpus": [{"count": 40}, {"count": 40}]}, ["gpus"]),
        ({"gpus": [{}] * 10_000}, ["gpus"]),
        ({"gpus": [{"brand": HUGE, "memory": "8 bananas"}]}, ["gpus[0].brand", "gpus[0].memory"]),
        ({"os": {"distro": HUGE, "version": "new!"}}, ["os.distro", "os.version"]),
        ({"labels": [HUGE]}, ["labels[0]"]),
        ({"labels": ["ok", "", "=v", "a b", "k=" + HUGE]}, [f"labels[{n}]" for n in (1, 2, 3, 4)]),
        ({"labels": [HUGE + "=" + HUGE]}, ["labels[0]"]),
        ({"labels": ["a"] * 65}, ["labels"]),
        ({"resource": "Not A Name"}, ["resource"]),
        ({"resource": HUGE}, ["resource"]),
        ({"not_resources": ["ok", "No", HUGE]}, ["not_resources[1]", "not_resources[2]"]),
        ({"not_resources": ["a"] * 65}, ["not_resources"]),
        ({"where": "resource.cpus >"}, ["where"]),
        ({"where": "resource.cpus"}, ["where"]),
        ({"where": HUGE}, ["where"]),
        (
            {"provisioning": {"image": HUGE, "disk": "big"}},
            ["provisioning.image", "provisioning.disk"],
        ),
        ({"provisioning": {"parameters": {"a b": ""}}}, ["provisioning.parameters['a b']"]),
        ({"provisioning": {"parameters": {"a": HUGE}}}, ["provisioning.parameters['a']"]),
        (
            {"provisioning": {"parameters": {str(n): "" for n in range(65)}}},
            ["provisioning.parameters"],
        ),
        ({"resource": "a", "not_resources": ["b", "a"]}, ["resource"]),
        ({"labels": ["rack=7", "rack", "rack=8"]}, ["labels"]),
        ({"any_of": [{}] * 9}, ["any_of"]),
        ({"any_of": [{"count": 1}]}, ["any_of[0].count"]),
        ({"any_of": [{}, {"any_of": [{"any_of": [{}]}]}]}, ["any_of[1].any_of"]),
        ({"any_of": [{"cpus": "x", "labels": ["a b"]}]}, ["any_of[0].cpus", "any_of[0].labels[0]"]),
        (
            {
                "cpus": "8",
                "os": {"family": "linux"},
                "any_of": [{"cpus": "8", "os": {"distro": "a"}}],
            },
            ["any_of[0].cpus", "any_of[0].os"],
        ),
        ({"kinds": [1], "any_of": [{}, {"kinds": [1]}]}, ["any_of[1].kinds"]),
        (
            {"provisioning": {"image": "a"}, "any_of": [{"provisioning": {"disk": "1G"}}]},
            ["any_of[0].provisioning"],
        ),
        ({"labels": ["rack=7"], "any_of": [{"labels": ["rack=8"]}, {}]}, ["any_of[0].labels"]),
        ({"labels": ["rack=7", "rack=8"], "any_of": [{}, {}]}, ["labels"]),
        ({"resource": "a", "any_of": [{"not_resources": ["a"]}]}, ["any_of[0].resource"]),
        (
            {
                "labels": [f"a{n}" for n in range(40)],
                "any_of": [{"labels": [f"b{n}" for n in range(40)]}],
            },
            ["any_of[0].labels"],
        ),
        ({"gpus": [{"count": 40}], "any_of": [{"gpus": [{"count": 40}]}]}, ["any_of[0].gpus"]),
        ({"gpus": [{"count": 40}] * 2, "any_of": [{}, {}]}, ["gpus"]),
        ({"labels": ["a b"], "any_of": [{"labels": ["c"]}]}, ["labels[0]"]),
        ({"where": LONG, "any_of": [{"where": LONG}, {}]}, ["any_of[0].where"]),
        ({"where": "resource.", "any_of": [{"where": "true"}, {}]}, ["where"]),
    ],
)
def test_a_wrong_field_of_a_host_is_named_once(demand: dict[str, Any], fields: list[str]) -> None:
    assert wrong_in_host(**demand) == fields


def test_an_expression_is_refused_with_the_place_of_the_error() -> None:
    wrong = violations_of(lambda: read_set(wanting(db={"where": "resource.cpus > 1 &&\n x"})))
    assert "line 2, column 2" in wrong["demands.hosts['db'].where"]


def test_a_filter_has_no_count() -> None:
    demand = demand_pb2.HostDemand(count=2)
    assert refused(lambda: read_host_demand("filter", demand)) == ["filter.count"]


def test_to_be_made_somehow_is_more_than_nothing() -> None:
    assert host(provisioning={}).provisioning == Provisioning()
    assert host().provisioning is None


def test_each_alternative_is_a_whole_demand() -> None:
    demand = host(
        cpus="8",
        labels=["fast", "rack=7"],
        gpus=[{"brand": "nvidia"}],
        not_resources=["a"],
        any_of=[
            {"memory": "4", "labels": ["fast"], "gpus": [{"model": "x"}], "not_resources": ["b"]},
            {},
        ],
    )
    plain = HostDemand(
        cpus=Bounds(8),
        labels=(("fast", None), ("rack", "7")),
        gpus=(GpuDemand("nvidia"),),
        not_resources=frozenset({"a"}),
    )
    richer = HostDemand(
        cpus=Bounds(8),
        memory=Bounds(4),
        labels=(("fast", None), ("rack", "7")),
        gpus=(GpuDemand("", "x"), GpuDemand("nvidia")),
        not_resources=frozenset({"a", "b"}),
    )
    assert demand == HostDemand(alternatives=(richer, plain))
    assert demand.options == (richer, plain)


def test_one_alternative_is_the_same_as_saying_it_at_once() -> None:
    assert host(cpus="8", any_of=[{"memory": "4"}]) == host(cpus="8", memory="4")


@pytest.mark.parametrize(
    ("cpus", "memory", "fits"), [(8, 8, True), (8, 1, False), (1, 8, False), (0, 0, False)]
)
def test_both_expressions_must_be_true_whatever_they_are_made_of(
    cpus: int, memory: int, fits: bool
) -> None:
    demand = host(
        where="resource.cpus == 8 || resource.cpus == 9 // a comment",
        any_of=[{"where": "resource.memory == 8 || false // another"}],
    )
    assert (mismatch(demand, Spec(cpus=cpus, memory=memory)) == "") is fits


def test_a_contradiction_says_what_to_do() -> None:
    demands = wanting(db={"resource": "a", "not_resources": ["a"], "labels": ["r=1", "r=2"]})
    assert violations_of(lambda: read_set(demands)) == {
        "demands.hosts['db'].resource": "a is among not_resources, too: take it out of one",
        "demands.hosts['db'].labels": (
            "asks for r to be '1' and '2': a resource has one value of a label; ask for one, or"
            " say both in any_of"
        ),
    }


def test_an_option_is_a_message_without_alternatives_that_reads_the_same() -> None:
    alternatives: list[Any] = [
        {"memory": "4", "labels": ["b"]},
        {"provisioning": {"parameters": {"x": "y"}}},
    ]
    message = demand_pb2.HostDemand(count=3, cpus="8", labels=["a"], any_of=alternatives)
    options = [option_message(message, option) for option in (0, 1)]
    assert [read_host_demand("option", option) for option in options] == [
        host(cpus="8", labels=["a", "b"], memory="4"),
        host(cpus="8", labels=["a"], provisioning={"parameters": {"x": "y"}}),
    ]
    assert options[1].provisioning.parameters == {"x": "y"}
    assert option_message(demand_pb2.HostDemand(cpus="8", count=2), 0).cpus == "8"


@given(data=st.data())
def test_the_order_of_what_has_no_order_does_not_matter(data: st.DataObject) -> None:
    fields: dict[str, list[Any]] = {
        "labels": ["a", "b=1", "b", "c=2"],
        "gpus": [{"model": "x"}, {"brand": "y", "count": 2}, {"memory": "8"}],
        "not_resources": ["a", "b", "c"],
        "kinds": [1, 2, 3],
    }
    shuffled = {name: data.draw(st.permutations(items)) for name, items in fields.items()}
    assert host(**shuffled) == host(**fields)
