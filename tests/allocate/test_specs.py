"""What managers may say of resources, and that it is the same after it was stored."""

from collections.abc import Sequence
from typing import Any

import pytest

from hwprovisioner.allocate.demand import Division, Gpu, Makes, Spec, System
from hwprovisioner.allocate.specs import (
    check_connection,
    check_spec,
    spec_message,
    spec_text,
    stored_spec,
)
from hwprovisioner.allocate.violations import Violations
from hwprovisioner.v1 import resource_pb2
from support.refused import HUGE, refused


def wrong_spec(**facts: Any) -> Sequence[str]:
    violations = Violations()
    described: dict[str, Any] = {"name": "box", "kind": 1} | facts
    spec = resource_pb2.ResourceSpec(**described)
    check_spec("spec", spec, violations)
    return refused(violations.check)


@pytest.mark.parametrize(
    ("facts", "fields"),
    [
        ({"name": "Box"}, ["spec.name"]),
        ({"name": "box-"}, ["spec.name"]),
        ({"kind": 0}, ["spec.kind"]),
        ({"kind": 77}, ["spec.kind"]),
        ({"cpus": -1, "memory_bytes": -1}, ["spec.cpus", "spec.memory_bytes"]),
        ({"cpus": 2**60}, ["spec.cpus"]),
        ({"driver": HUGE}, ["spec.driver"]),
        (
            {"gpus": [{"brand": HUGE, "memory_bytes": -1}]},
            ["spec.gpus[0].brand", "spec.gpus[0].memory_bytes"],
        ),
        ({"gpus": [{}] * 65}, ["spec.gpus"]),
        ({"os": {"version": HUGE}}, ["spec.os.version"]),
        ({"labels": {"a b": ""}}, ["spec.labels['a b']"]),
        ({"labels": {str(n): "" for n in range(65)}}, ["spec.labels"]),
        ({"division": {"instances": 0}}, ["spec.division.instances"]),
        ({"division": {"instances": 1, "default_cpus": -1}}, ["spec.division.default_cpus"]),
        ({"makes": {"images": ["a"] * 257}}, ["spec.makes.images"]),
        ({"makes": {"images": ["a", "", HUGE]}}, [f"spec.makes.images[{n}]" for n in (1, 2)]),
        ({"makes": {"systems": [{}] * 65}}, ["spec.makes.systems"]),
        ({"makes": {"systems": [{}, {"distro": HUGE}]}}, ["spec.makes.systems[1].distro"]),
        ({"makes": {"disk_bytes": -1}}, ["spec.makes.disk_bytes"]),
        ({"makes": {"disk_bytes": 2**60}}, ["spec.makes.disk_bytes"]),
        ({"makes": {"parameters": ["a"] * 65}}, ["spec.makes.parameters"]),
        ({"makes": {"parameters": ["ok", "a b"]}}, ["spec.makes.parameters[1]"]),
    ],
)
def test_a_wrong_fact_of_a_resource_is_named_once(facts: dict[str, Any], fields: list[str]) -> None:
    assert wrong_spec(**facts) == fields


def description(name: str = "box") -> resource_pb2.ResourceSpec:
    return resource_pb2.ResourceSpec(
        name=name,
        kind=resource_pb2.RESOURCE_KIND_CONTAINER,
        cpus=2**53,
        memory_bytes=2**40,
        gpus=[resource_pb2.Gpu(brand="NVIDIA", memory_bytes=8)],
        os=resource_pb2.Os(distro="Ubuntu", version="22.04-LTS"),
        labels={"rack": "7"},
        division=resource_pb2.Division(instances=3, default_memory_bytes=2**50),
        makes=resource_pb2.Makes(
            images=["Ubuntu-22", "win"],
            systems=[resource_pb2.Os(family="Windows")],
            disk_bytes=2**30,
            parameters=["region"],
        ),
    )


def test_a_description_is_read_after_it_was_stored() -> None:
    assert stored_spec(spec_text(description())) == Spec(
        kind="container",
        cpus=2**53,
        memory=2**40,
        gpus=(Gpu("nvidia", "", 8),),
        system=System("", "ubuntu", "22.04-lts"),
        labels=frozenset({("rack", "7")}),
        division=Division(3, 1, 2**40),
        makes=Makes(
            frozenset({"Ubuntu-22", "win"}),
            (System("windows"),),
            2**30,
            frozenset({"region"}),
        ),
    )


def test_what_was_not_said_of_a_resource_is_not_known() -> None:
    assert stored_spec(spec_text(resource_pb2.ResourceSpec(name="bare"))) == Spec()
    makes = resource_pb2.ResourceSpec(makes=resource_pb2.Makes())
    assert stored_spec(spec_text(makes)) == Spec(makes=Makes())


def test_equal_machines_have_equal_texts_and_are_one_object() -> None:
    one, other = spec_text(description("box-1")), spec_text(description("box-2"))
    assert one == other
    assert stored_spec(one) is stored_spec(other)


def test_a_stored_description_is_shown_with_its_name_and_belongs_to_the_caller() -> None:
    text = spec_text(description())
    shown = spec_message(text, "box-1")
    assert shown == description("box-1")
    shown.labels["changed"] = "by the caller"
    assert spec_message(text, "box-2") == description("box-2")


def test_a_wrong_connection_names_its_fields() -> None:
    connection = resource_pb2.Connection(port=70_000, address=HUGE, properties={"key": HUGE})
    violations = Violations()
    check_connection("connection", connection, violations)
    assert refused(violations.check) == [
        "connection.address",
        "connection.port",
        "connection.properties['key']",
    ]
