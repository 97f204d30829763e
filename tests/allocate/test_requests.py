"""What is refused, and that every wrong field is named once."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from hwprovisioner.allocate.demand import GpuDemand, HostDemand, OsDemand
from hwprovisioner.allocate.notation import Bounds, VersionBounds
from hwprovisioner.allocate.requests import Asked, read_request
from hwprovisioner.allocate.specs import check_connection, check_spec, stored_spec, to_json
from hwprovisioner.allocate.violations import Violations
from hwprovisioner.serving import Refused
from hwprovisioner.v1 import demand_pb2, resource_pb2
from hwprovisioner.v1.allocation_pb2 import Requestor
from support.asking import new_request, seconds, wanting

HUGE = "x" * 10_000_000


def refused(read: Callable[[], object]) -> list[str]:
    """The fields that are named; the message stays short whatever was sent."""
    with pytest.raises(Refused) as refusal:
        read()
    assert refusal.value.reason == "BAD_REQUEST"
    assert all(len(description) < 500 for _, description in refusal.value.violations)
    return [field for field, _ in refusal.value.violations]


def refused_request(**fields: Any) -> list[str]:
    return refused(lambda: read_request(new_request(**fields)))


def refused_host(**demand: Any) -> list[str]:
    fields = refused_request(demands=wanting(db=demand))
    return [field.removeprefix("demands.hosts['db'].") for field in fields]


def test_all_fields_of_a_demand_are_read() -> None:
    host = demand_pb2.HostDemand(
        kinds=[resource_pb2.RESOURCE_KIND_EDGE_DEVICE],
        cpus="4..8",
        memory=">=1GiB",
        gpus=[demand_pb2.GpuDemand(brand="NVIDIA", count=2), demand_pb2.GpuDemand(model="A100")],
        os=demand_pb2.OsDemand(family="Linux", version="==22.04"),
        labels=["rack=7", "fast", "rack=7"],
        resource="box-1",
    )
    demands = demand_pb2.Demands(hosts={"edge": host})
    assert read_request(new_request(demands)).demands == {
        "edge": HostDemand(
            kinds=frozenset({"edge-device"}),
            cpus=Bounds(4, 8),
            memory=Bounds(2**30),
            gpus=(GpuDemand("nvidia"), GpuDemand("nvidia"), GpuDemand("", "a100")),
            os=OsDemand("linux", "", VersionBounds("22.04", "22.04")),
            labels=(("fast", None), ("rack", "7")),
            resource="box-1",
        )
    }


def test_what_is_left_out_has_its_default() -> None:
    asked = read_request(new_request(request_id=""))
    assert asked == Asked({"host": HostDemand()}, "", 0, 30_000, 0, 0)


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
    ],
)
def test_a_wrong_field_of_a_host_is_named_once(demand: dict[str, Any], fields: list[str]) -> None:
    assert refused_host(**demand) == fields


@pytest.mark.parametrize(
    ("request_fields", "fields"),
    [
        ({"request_id": "short"}, ["request_id"]),
        ({"request_id": HUGE}, ["request_id"]),
        ({"priority": 101}, ["priority"]),
        ({"priority": -(2**31)}, ["priority"]),
        ({"lease_ttl": 0.999}, ["lease_ttl"]),
        ({"lease_ttl": 0}, ["lease_ttl"]),
        ({"lease_ttl": 86_401}, ["lease_ttl"]),
        ({"wait_timeout": 0}, ["wait_timeout"]),
        ({"wait_timeout": -5}, ["wait_timeout"]),
        ({"max_duration": 31 * 86_400}, ["max_duration"]),
        ({"lease_ttl": Duration(seconds=5, nanos=2_000_000_000)}, ["lease_ttl.nanos"]),
        ({"lease_ttl": Duration(seconds=5, nanos=-1)}, ["lease_ttl.nanos"]),
        ({"requestor": Requestor(user=HUGE, command="ls")}, ["requestor.user"]),
        ({"demands": wanting(**{"Not A Name": {}})}, ["demands.hosts['Not A Name']"]),
        ({"demands": wanting(**{HUGE: {}})}, [f"demands.hosts['{'x' * 40}…']"]),
        ({"demands": wanting(**{f"h{n}": {} for n in range(65)})}, ["demands.hosts"]),
    ],
)
def test_a_wrong_field_of_a_request_is_named_once(
    request_fields: dict[str, Any], fields: list[str]
) -> None:
    assert refused_request(**request_fields) == fields


def test_no_hosts_at_all_are_refused() -> None:
    request = new_request()
    request.demands.Clear()
    assert refused(lambda: read_request(request)) == ["demands.hosts"]


def test_all_wrong_fields_are_named_together() -> None:
    demands = wanting(a={"cpus": "x"}, b={"memory": "y", "labels": [" "]})
    assert refused_request(demands=demands, priority=1000, lease_ttl=0) == [
        "demands.hosts['a'].cpus",
        "demands.hosts['b'].memory",
        "demands.hosts['b'].labels[0]",
        "priority",
        "lease_ttl",
    ]


@pytest.mark.parametrize("value", [1, 86_400])
def test_limits_of_the_lease_are_allowed(value: int) -> None:
    asked = read_request(new_request(lease_ttl=value, wait_timeout=seconds(0.001), priority=-100))
    assert (asked.ttl_ms, asked.wait_ms, asked.priority) == (value * 1000, 1, -100)


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
    ],
)
def test_a_wrong_fact_of_a_resource_is_named_once(facts: dict[str, Any], fields: list[str]) -> None:
    assert wrong_spec(**facts) == fields


def test_a_description_is_the_same_after_it_was_stored() -> None:
    message = resource_pb2.ResourceSpec(
        name="box",
        kind=resource_pb2.RESOURCE_KIND_CONTAINER,
        cpus=2**53,
        gpus=[resource_pb2.Gpu(brand="NVIDIA", memory_bytes=8)],
        os=resource_pb2.Os(distro="Ubuntu", version="22.04"),
        labels={"rack": "7"},
    )
    spec = stored_spec(to_json(message))
    assert (spec.name, spec.kind, spec.cpus, spec.distro) == ("box", "container", 2**53, "ubuntu")
    assert (spec.gpus[0].brand, spec.labels, spec.slots) == (
        "nvidia",
        frozenset({("rack", "7")}),
        1,
    )


def test_a_wrong_connection_names_its_fields() -> None:
    connection = resource_pb2.Connection(port=70_000, address=HUGE, properties={"key": HUGE})
    violations = Violations()
    check_connection("connection", connection, violations)
    assert refused(violations.check) == [
        "connection.address",
        "connection.port",
        "connection.properties['key']",
    ]
