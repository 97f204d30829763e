"""From keywords to the contract's demands."""

from datetime import timedelta
from typing import Any

import pytest

from hwprovisioner.client import BadDemand
from hwprovisioner.client import request as requests
from hwprovisioner.client.demands import read_demands
from hwprovisioner.client.durations import show, to_timedelta
from hwprovisioner.client.requestor import describe, job_link, without_secrets
from hwprovisioner.client.settings import Settings
from hwprovisioner.client.words import kind_value, value, word, words
from hwprovisioner.v1.allocation_pb2 import AllocationState, Requestor
from hwprovisioner.v1.demand_pb2 import Demands, GpuDemand, HostDemand, OsDemand
from hwprovisioner.v1.resource_pb2 import ResourceKind


def read(**keywords: Any) -> Demands:
    return read_demands(None, keywords)


def refused(**keywords: Any) -> str:
    with pytest.raises(BadDemand) as caught:
        read(**keywords)
    assert caught.value.violations
    return caught.value.message


def test_keys_given_directly_describe_one_host_called_host() -> None:
    assert read(cpus=4, memory="16GiB") == Demands(
        hosts={"host": HostDemand(cpus="4", memory="16GiB")}
    )


def test_mappings_are_hosts_by_name() -> None:
    assert read(db={"cpus": 8}, edge={"labels": ["jetson"]}) == Demands(
        hosts={"db": HostDemand(cpus="8"), "edge": HostDemand(labels=["jetson"])}
    )


def test_no_demand_at_all_is_satisfied_by_anything() -> None:
    assert read() == Demands(hosts={"host": HostDemand()})


def test_a_mapping_under_a_known_key_stays_a_key() -> None:
    assert read(os={"distro": "ubuntu", "version": ">=22.04"}).hosts["host"].os == OsDemand(
        distro="ubuntu", version=">=22.04"
    )


@pytest.mark.parametrize(
    ("written", "demand"),
    [
        ({"cpus": ">=8"}, HostDemand(cpus=">=8")),
        ({"cpus": " 4..8 "}, HostDemand(cpus="4..8")),
        ({"memory": 1024}, HostDemand(memory="1024")),
        ({"gpus": 2}, HostDemand(gpus=[GpuDemand(count=2)])),
        ({"gpus": 0}, HostDemand()),
        ({"gpus": "rtx4000"}, HostDemand(gpus=[GpuDemand(model="rtx4000")])),
        (
            {"gpus": [{"brand": "nvidia", "memory": "8GiB", "count": 2}, "t4"]},
            HostDemand(
                gpus=[GpuDemand(brand="nvidia", memory="8GiB", count=2), GpuDemand(model="t4")]
            ),
        ),
        ({"gpus": {"model": "t4"}}, HostDemand(gpus=[GpuDemand(model="t4")])),
        ({"os": "ubuntu 22.04"}, HostDemand(os=OsDemand(distro="ubuntu", version="22.04"))),
        ({"os": "linux"}, HostDemand(os=OsDemand(family="linux"))),
        ({"os": {"version": 12}}, HostDemand(os=OsDemand(version="12"))),
        ({"labels": "jetson"}, HostDemand(labels=["jetson"])),
        (
            {"labels": {"rack": "a1", "fast": None, "u": 4}},
            HostDemand(labels=["rack=a1", "fast", "u=4"]),
        ),
        ({"kind": "vm"}, HostDemand(kinds=[ResourceKind.RESOURCE_KIND_VIRTUAL_MACHINE])),
        (
            {"kinds": ["container", "PHYSICAL_SERVER"]},
            HostDemand(
                kinds=[
                    ResourceKind.RESOURCE_KIND_CONTAINER,
                    ResourceKind.RESOURCE_KIND_PHYSICAL_SERVER,
                ]
            ),
        ),
        ({"resource": "refb"}, HostDemand(resource="refb")),
        ({"cpus": None}, HostDemand()),
    ],
)
def test_each_key_is_written_in_several_ways(written: dict[str, Any], demand: HostDemand) -> None:
    assert read(host=written).hosts["host"] == demand


def test_an_unknown_key_is_answered_with_what_was_meant_and_what_is_known() -> None:
    said = refused(cpu=4)
    assert "unknown demand key 'cpu', did you mean 'cpus'?" in said
    assert "memory" in said
    assert "db.lables: unknown demand key 'lables', did you mean 'labels'?" in refused(
        db={"lables": []}
    )


def test_all_that_is_wrong_is_told_at_once() -> None:
    said = refused(db={"cpus": 1.5, "kind": "vmm"}, edge={"gpus": [{"maker": "x"}]})
    assert "db.cpus: 1.5 is no number" in said
    assert "db.kind: kind 'vmm' is not known" in said
    assert "edge.gpus: unknown gpu key 'maker'" in said


@pytest.mark.parametrize(
    "keywords",
    [
        {"cpus": True},
        {"memory": []},
        {"gpus": -1},
        {"gpus": 65},
        {"gpus": [3]},
        {"gpus": [{"count": "2"}]},
        {"os": 4},
        {"os": {"distro": ["x"]}},
        {"labels": 3},
        {"labels": b"x"},
        {"resource": None, "labels": [object()]},
        {"cpus": 4, "db": {"cpus": 1}},
        {"edge": 4, "db": {"cpus": 1}},
    ],
)
def test_rubbish_is_refused_before_it_is_sent(keywords: dict[str, Any]) -> None:
    refused(**keywords)


def test_demands_and_keywords_together_are_refused() -> None:
    with pytest.raises(BadDemand, match="not both"):
        read_demands({"db": {}}, {"cpus": 4})
    with pytest.raises(BadDemand, match="not both"):
        read_demands(Demands(), {"cpus": 4})


def test_a_finished_message_and_a_mapping_are_taken_too() -> None:
    message = Demands(hosts={"a": HostDemand(cpus="1")})
    assert read_demands(message, {}) is message
    assert read_demands({"a": {"cpus": 1}}, {}) == message


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(5, 5), (0.5, 0.5), ("90s", 90), ("1h30m", 5400), ("250ms", 0.25), ("2", 2), ("1d", 86400)],
)
def test_spans_of_time_are_written_in_several_ways(written: Any, seconds: float) -> None:
    assert to_timedelta(written, "wait") == timedelta(seconds=seconds)
    assert to_timedelta(timedelta(seconds=seconds), "wait") == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written", [0, -1, "", "soon", "5 x", "h", float("nan"), float("inf"), 1e300]
)
def test_what_is_no_span_of_time_is_refused_by_name(written: Any) -> None:
    with pytest.raises(BadDemand, match=r"^wait: "):
        to_timedelta(written, "wait")


def test_times_are_shown_for_people() -> None:
    assert [show(s) for s in (0.04, 9.96, 42, 200, 7500)] == [
        "0.0 s",
        "10.0 s",
        "42 s",
        "3 min 20 s",
        "2 h 5 min",
    ]


def test_a_request_says_who_asks_and_has_an_id_of_its_own() -> None:
    def build(**changes: Any) -> Any:
        asked: dict[str, Any] = {
            "priority": 0,
            "wait": "10m",
            "lease_ttl": None,
            "max_duration": None,
            "request_id": None,
            "requestor": Requestor(user="me"),
        }
        return requests.build(Demands(), **(asked | changes))

    request = build()
    assert request.wait_timeout.seconds == 600
    assert not request.HasField("lease_ttl")
    assert len(request.request_id) >= 16
    assert build().request_id != request.request_id
    assert build(request_id="x" * 16).request_id == "x" * 16
    with pytest.raises(BadDemand, match="-100 to 100"):
        build(priority=101)


def test_the_requestor_is_filled_in_from_the_process() -> None:
    requestor = describe({"USER": "ann", "CI_JOB_URL": "https://ci/1"}, "box", ["pytest", "a b"])
    assert requestor == Requestor(
        user="ann", host="box", command="pytest 'a b'", job_link="https://ci/1"
    )
    assert describe({}, "box", [], account="root").user == "root"
    assert len(describe({}, "x" * 3000, ["y" * 3000]).command) == 1024


def test_ci_links_of_several_systems_are_found() -> None:
    assert job_link({"BUILD_URL": "https://jenkins/7"}) == "https://jenkins/7"
    assert (
        job_link({"GITHUB_RUN_ID": "5", "GITHUB_REPOSITORY": "o/r"})
        == "https://github.com/o/r/actions/runs/5"
    )
    assert job_link(
        {
            "BUILD_BUILDID": "9",
            "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "https://az/",
            "SYSTEM_TEAMPROJECT": "p",
        }
    ) == ("https://az/p/_build/results?buildId=9")
    assert job_link({}) == ""


def test_secrets_on_the_command_line_are_not_shown_to_the_lab() -> None:
    argv = ["x", "--db-password=p", "--token", "t", "API_KEY=k", "--secret", "--verbose", "y"]
    shown = ["x", "--db-password=***", "--token", "***", "API_KEY=***", "--secret", "--verbose"]
    assert without_secrets(argv) == [*shown, "y"]


def test_addresses_come_from_the_environment_unless_given() -> None:
    settings = Settings.from_env({"ALLOCATE_API": "lab:1", "HEARTBEAT_API": "grpc://beat"})
    assert (settings.allocate_address, settings.heartbeat_address) == ("lab:1", "beat:7080")
    settings = Settings.from_env({"ALLOCATE_API": "lab:1"}, allocate_address="[::1]:5")
    assert (settings.allocate_address, settings.heartbeat_address) == ("[::1]:5", "127.0.0.1:7080")
    assert Settings.from_env({"ALLOCATE_API": "[::1]"}).allocate_address == "[::1]:8080"
    assert Settings.from_env({"ALLOCATE_API": "unix:/x"}).allocate_address == "unix:/x"


@pytest.mark.parametrize("address", ["lab:port", "lab:0", "lab:70000", ":80", "a/b:1"])
def test_an_address_that_is_none_is_refused_by_the_name_of_its_setting(address: str) -> None:
    with pytest.raises(BadDemand, match="ALLOCATE_API"):
        Settings.from_env({"ALLOCATE_API": address})


def test_enum_values_have_words_both_ways() -> None:
    assert words(AllocationState) == ["queued", "preparing", "ready", "ended", "booked"]
    for text in words(ResourceKind):
        assert word(ResourceKind, value(ResourceKind, text, "kind")) == text
    assert word(ResourceKind, 0) == ""
    assert word(ResourceKind, 99) == "99"
    assert kind_value("Edge") == ResourceKind.RESOURCE_KIND_EDGE_DEVICE
