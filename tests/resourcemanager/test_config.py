"""resources.yml: what it may say."""

from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import (
    Access,
    Division,
    Facts,
    Gpu,
    Kind,
    OperatingSystem,
    TimeLimits,
    parse_config,
)
from hwprovisioner.resourcemanager.__main__ import main
from support.lab_file import load, one

ISSUE_EXAMPLE = """\
resources:
  static:
    refb:
      driver: ssh
      kind: physical
      cpu: 8
      mem: 8GiB
      access: {ip: 192.168.1.10, user: myuser, key_file: ~/.ssh/lab, port: 22}
      gpus: [{brand: nvidia, model: rtx4000, memory: 8GiB}]
      os: {distro: ubuntu, version: "18.04"}
      labels: [benchmark_machine, belfast]
  dynamic:
    hypervisor1:
      driver: exec
      kind: virtual-machine
      limits: {cpu: 64, mem: 256GiB, instances: 10}
"""


def test_the_example_of_the_issue_is_read() -> None:
    config = parse_config(ISSUE_EXAMPLE)
    refb, hypervisor = config.resources["refb"], config.resources["hypervisor1"]
    assert refb.kind is Kind.PHYSICAL_SERVER
    assert refb.declared == Facts(
        8,
        8 * 1024**3,
        (Gpu("nvidia", "rtx4000", 8 * 1024**3),),
        OperatingSystem("", "ubuntu", "18.04"),
    )
    assert refb.labels == {"benchmark_machine": "", "belfast": ""}
    assert refb.access == Access("192.168.1.10", "myuser", 22, "~/.ssh/lab")
    assert refb.division is None
    assert hypervisor.division == Division(10)
    assert hypervisor.declared == Facts(64, 256 * 1024**3)
    assert config.manager_id == ""


def test_the_example_of_the_issue_is_valid_as_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "resources.yml"
    file.write_text(ISSUE_EXAMPLE)
    assert main(["validate", str(file)]) == 0
    assert "2 resources, no problems" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("vm", Kind.VIRTUAL_MACHINE),
        ("virtual_machine", Kind.VIRTUAL_MACHINE),
        ("physical", Kind.PHYSICAL_SERVER),
        ("physical-server", Kind.PHYSICAL_SERVER),
        ("Edge", Kind.EDGE_DEVICE),
        ("edge-device", Kind.EDGE_DEVICE),
        ("cloud", Kind.CLOUD_INSTANCE),
        ("cloud-instance", Kind.CLOUD_INSTANCE),
        ("container", Kind.CONTAINER),
    ],
)
def test_kinds_have_short_and_long_names(word: str, kind: Kind) -> None:
    text = f"resources: {{static: {{box: {{driver: fake, kind: {word}}}}}}}"
    assert parse_config(text, load=load).resources["box"].kind is kind


@pytest.mark.parametrize(
    ("body", "labels"),
    [
        ("labels: [a, b=1, 'c = x=y']", {"a": "", "b": "1", "c": "x=y"}),
        ("labels: {a: , b: 1, c: no}", {"a": "", "b": "1", "c": "no"}),
        ("labels: ", {}),
    ],
)
def test_labels_are_a_list_or_a_mapping(body: str, labels: dict[str, str]) -> None:
    assert one(body).labels == labels


def test_the_traps_of_yaml_1_1_do_not_exist() -> None:
    resource = one(
        "os: {family: linux, distro: no, version: 1.10}, "
        "labels: {mac: 52:54:00:12:34:56, time: 22:22, mode: 0777, country: no, on: 1e3}, "
        "gpus: [{model: 4090, brand: null}]".replace("brand: null", "brand: 'null'")
    )
    assert resource.declared.os == OperatingSystem("linux", "no", "1.10")
    assert resource.labels == {
        "mac": "52:54:00:12:34:56",
        "time": "22:22",
        "mode": "0777",
        "country": "no",
        "on": "1e3",
    }
    assert resource.declared.gpus == (Gpu("null", "4090"),)


def test_gpus_of_a_sort_are_counted() -> None:
    assert one("gpus: [{model: a, count: 2}, {model: b}]").declared.gpus == (
        Gpu(model="a"),
        Gpu(model="a"),
        Gpu(model="b"),
    )


def test_times_and_defaults_are_read() -> None:
    body = "time_limits: {ready_up: 10m, clean: 90s}, check_every: 5s, limits: {instances: 3}, "
    resource = one(body + "default: {cpu: 2, mem: 1Gi}", "dynamic")
    assert resource.time_limits == TimeLimits(600, None, 90)
    assert resource.check_every_s == 5
    assert resource.division == Division(3, 2, 1024**3)


def test_a_local_resource_needs_nothing_else() -> None:
    config = parse_config("resources: {static: {here: {driver: local}}}\nmanager: {id: bench-1}")
    assert config.resources["here"].kind is Kind.PHYSICAL_SERVER
    assert config.manager_id == "bench-1"


def test_anchors_and_merges_work() -> None:
    text = """
resources:
  static:
    a: &base {driver: fake, kind: edge, cpu: 2}
    b: {<<: *base, cpu: 4}
    c: {<<: [{cpu: 8}, *base]}
"""
    config = parse_config(text, load=load)
    assert [config.resources[name].declared.cpus for name in "abc"] == [2, 4, 8]
