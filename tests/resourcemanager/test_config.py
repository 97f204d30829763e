"""resources.yml: what it may say, and how what is wrong with it is told."""

from pathlib import Path
from typing import Annotated

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from hwprovisioner.resourcemanager import (
    Access,
    ConfigError,
    Division,
    Driver,
    DriverNotUsable,
    Facts,
    Gpu,
    Kind,
    OperatingSystem,
    Resource,
    TimeLimits,
    parse_config,
    read_config,
)
from hwprovisioner.resourcemanager.__main__ import main
from hwprovisioner.resourcemanager.loading import load_driver
from support.manager import Hardware

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


def load(name: str) -> type[Driver]:
    return Hardware().driver() if name == "fake" else load_driver(name)


def one(body: str, section: str = "static") -> Resource:
    text = f"resources: {{{section}: {{box: {{driver: fake, kind: edge, {body}}}}}}}"
    return parse_config(text, load=load).resources["box"]


def problems(text: str) -> list[str]:
    """Return what is said of a file, without the source lines."""
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "lab.yml", load)
    return [problem.render("lab.yml") for problem in caught.value.problems]


def read_or_refused(text: str) -> bool:
    """Read a text, and say whether what is wrong, if anything, was told as problems."""
    try:
        parse_config(text, load=load)
    except ConfigError as error:
        return bool(error.problems)
    return True


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


def test_every_problem_is_found_at_once_with_its_place() -> None:
    text = """\
resources:
  static:
    refb:
      driver: shh
      kind: physcal
      cpus: 8
      mem: 8Gigs
      access: {ip: 192.168.1.10, prt: 22, port: 99999}
      gpus: {brand: nvidia}
      limits: {cpu: 3}
    Ref C: {driver: fake, kind: edge, gpus: [{count: many}]}
  dynamic:
    rack: {driver: fake, kind: vm, cpu: 3, labels: [a, a]}
managr: {id: x}
"""
    assert problems(text) == [
        "lab.yml:4:15: resources.static.refb.driver: no driver 'shh'; did you mean 'ssh'?",
        "lab.yml:5:13: resources.static.refb.kind: 'physcal' is no kind of resource; "
        "did you mean 'physical'?",
        "lab.yml:6:7: resources.static.refb.cpus: unknown key; did you mean 'cpu'?",
        "lab.yml:7:12: resources.static.refb.mem: '8Gigs' is no amount of memory, "
        "such as 8GiB, 512Mi or 4096",
        "lab.yml:8:34: resources.static.refb.access.prt: unknown key; did you mean 'port'?",
        "lab.yml:8:49: resources.static.refb.access.port: should be 65535 or less, is '99999'",
        "lab.yml:9:13: resources.static.refb.gpus: should be a list, is a mapping",
        "lab.yml:10:7: resources.static.refb.limits: unknown key; "
        "only dynamic resources have it; a static one has cpu, mem and gpus",
        "lab.yml:11:5: resources.static.Ref C: a resource's name should be "
        "1 to 63 of a-z 0-9 . _ -, with a letter or digit at both ends",
        "lab.yml:11:54: resources.static.Ref C.gpus[0].count: should be a whole number, is 'many'",
        "lab.yml:13:5: resources.dynamic.rack.limits: is needed",
        "lab.yml:13:36: resources.dynamic.rack.cpu: unknown key; "
        "dynamic resources have `limits: {cpu: …}`",
        "lab.yml:13:52: resources.dynamic.rack.labels: label 'a' is there twice",
        "lab.yml:14:1: managr: unknown key; did you mean 'manager'?",
    ]


def test_the_line_is_shown_with_a_caret() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config("resources:\n  statik: {}\n", "lab.yml")
    assert str(caught.value).splitlines() == [
        "lab.yml:2:3: resources.statik: unknown key; did you mean 'static'?",
        "      statik: {}",
        "      ^",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lab.yml:1:1: is empty"),
        ("# nothing\n", "lab.yml:1:1: is empty"),
        ("[1, 2]", "lab.yml:1:1: should be a mapping, is a list"),
        ("hello", "lab.yml:1:1: should be a mapping, is 'hello'"),
        ("manager: {id: x}", "lab.yml:1:1: resources: is needed"),
        ("resources: [x]", "lab.yml:1:12: resources: should be a mapping, is a list"),
        ("resources: {static: 7}", "lab.yml:1:21: resources.static: should be a mapping, is '7'"),
        (
            "resources: {static: {box: }}",
            "lab.yml:1:27: resources.static.box: should be a mapping, is empty",
        ),
        (
            "resources: {static: {box: {kind: edge}}}",
            "lab.yml:1:22: resources.static.box.driver: is needed",
        ),
        ("resources: {}\nmanager: {id: A b}", "lab.yml:2:15: manager.id: should be 1 to 63"),
        ("a: [1\nb: 2", "lab.yml:2:2: not YAML"),
        ("a: b: c", "lab.yml:1:5: not YAML"),
        ("\tresources: {}", "lab.yml:1:1: not YAML"),
        ("resources: *nowhere", "lab.yml:1:12: not YAML: found undefined alias"),
        ("resources: &a {static: *a}", "resources.static: is an alias of something"),
        ("resources: {}\n---\nresources: {}", "not YAML: expected a single document"),
        (
            "resources: {}\nresources: {}",
            "2:1: resources: is here twice; the first is in line 1",
        ),
        ("? [a]\n: b\nresources: {}", "lab.yml:1:3: a key should be a word"),
        ("resources: {<<: 3}", "resources.<<: should be the alias of another mapping"),
        ("a: \x00", "not YAML"),
    ],
)
def test_a_file_of_the_wrong_form_is_explained(text: str, said: str) -> None:
    assert any(said in problem for problem in problems(text)), problems(text)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("cpu: 0", "cpu: should be 1 or more, is '0'"),
        ("cpu: -4", "cpu: should be 1 or more"),
        ("cpu: 1.5", "cpu: should be a whole number, is '1.5'"),
        ("cpu: [4]", "cpu: should be a whole number, is a list"),
        ("mem: -1G", "mem: '-1G' is no amount of memory"),
        ("mem: 0", "mem: should be 1 or more"),
        ("mem: 99999999T", "mem: '99999999T' is more than 8 PiB"),
        ("check_every: 0s", "check_every: '0s' is not between 1ms and 24h"),
        ("labels: [[a]]", "labels: each label should be written"),
        ("labels: [=x]", "labels: each label should be written"),
        ("labels: [a b]", "labels.a b: a label's name should be 1 to 64"),
        ("labels: [a=" + "x" * 129 + "]", "labels.a: should have at most 128 characters"),
        ("os: {distro: " + "x" * 129 + "}", "os.distro: should have at most 128 characters"),
        ("labels: {a: {b: c}}", "labels.a: should be a word, is a mapping"),
        ("access: {user: me}", "access: needs one of `host` and `ip`"),
        ("access: {host: a, ip: b}", "access: needs one of `host` and `ip`"),
        ("os: ubuntu", "os: should be a mapping, is 'ubuntu'"),
        ("options: {x: 1}", "options.x: unknown key"),
        ("gpus: [{count: 60}, {count: 5}]", "gpus: are more than 64 cards"),
        ("instances: 3", "instances: unknown key; it belongs in `limits`"),
        ("memory: 3G", "memory: unknown key; did you mean 'mem'?"),
    ],
)
def test_a_wrong_value_is_explained(body: str, said: str) -> None:
    text = f"resources: {{static: {{box: {{driver: fake, kind: edge, {body}}}}}}}"
    assert any(said in problem for problem in problems(text)), problems(text)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{driver: ssh}", "access: is needed by driver ssh"),
        (
            "{driver: ssh, access: {host: a, host_key: rubbish}}",
            "access.host_key: should be a public key",
        ),
        (
            "{driver: ssh, access: {host: a}, ready_up: [ls]}",
            "ready_up: belongs in `options: {ready_up: …}`",
        ),
        (
            "{driver: ssh, access: {host: a}, options: {ready_up: [{run: ls, timout: 3s}]}}",
            "options.ready_up[0].timout: unknown key; did you mean 'timeout'?",
        ),
        ("{driver: exec, options: {command: x}}", "kind: is needed: virtual-machine"),
        (
            "{driver: exec, kind: edge, options: {command: {a: b}}}",
            "command: should be a program and its arguments, is a mapping",
        ),
        ("{driver: exec, kind: edge, options: {command: ''}}", "options.command:"),
        ("{driver: exec, kind: edge, options: {command: 'a \"'}}", "no closing quotation"),
        ("{driver: local, options: {a: 1}}", "options.a: unknown key"),
    ],
)
def test_a_driver_checks_its_own_part(entry: str, said: str) -> None:
    found = problems(f"resources: {{static: {{box: {entry}}}}}")
    assert any(said in problem for problem in found), found


def test_a_name_in_both_sections_is_found() -> None:
    text = """
resources:
  static:
    box: {driver: fake, kind: edge}
  dynamic:
    box: {driver: fake, kind: edge, limits: {instances: 1}}
"""
    [problem] = problems(text)
    assert problem == "lab.yml:6:5: resources.dynamic.box: is here twice; the first is in line 4"


def test_a_driver_that_cannot_be_imported_says_what_to_install() -> None:
    def without_ssh(name: str) -> type[Driver]:
        raise DriverNotUsable(name, "driver 'ssh' cannot be imported: No module named 'asyncssh'")

    with pytest.raises(ConfigError, match=r"lab.yml:1:39: .*No module named 'asyncssh'"):
        parse_config("resources: {static: {box: {   driver: ssh}}}", "lab.yml", without_ssh)


class _Secretive(Hardware):
    """A driver whose secret is refused."""

    def driver(self, name: str = "fake") -> type[Driver]:
        class Options(BaseModel, extra="forbid"):
            password: Annotated[SecretStr, Field(max_length=3)] = SecretStr("")
            api_key: int = 0
            port: int = 0

        class SecretiveDriver(super().driver(name)):  # type: ignore[misc]  # made by a function
            pass

        SecretiveDriver.Options = Options
        return SecretiveDriver


@pytest.mark.parametrize(
    "options",
    [
        "{password: hunter2}",
        "{api_key: hunter2}",
        "{port: many, 'password': \"hunter2\"}",
        "{port: many, more: {db_passphrase: hunter2 hunter2}}",
    ],
)
def test_secrets_are_not_shown_with_what_is_wrong(options: str) -> None:
    text = f"resources: {{static: {{box: {{driver: fake, kind: edge, options: {options}}}}}}}"
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "lab.yml", lambda name: _Secretive().driver())
    assert "options" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_aliases_of_aliases_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwprovisioner.serving.located.MOST_NODES", 10_000)
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 30)]
    assert "larger than 10,000 values" in problems("\n".join(lines))[0]


def test_deep_nesting_is_stopped() -> None:
    assert "nested too deeply" in problems("resources: " + "[" * 500 + "]" * 500)[0]
    # The C composer of PyYAML crashes the process here.
    assert problems("resources: " + "[" * 100_000)
    assert problems("- " * 100_000)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"resources: \xff\n", "1:12: is not UTF-8: byte 0xff"),
        (b"a: 1\nb: \xe4\n", "2:4: is not UTF-8: byte 0xe4"),
    ],
)
def test_a_file_that_is_not_utf_8_is_explained(tmp_path: Path, data: bytes, said: str) -> None:
    file = tmp_path / "lab.yml"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=f"lab.yml:{said}"):
        read_config(file)


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "lab.yml"
    file.write_bytes(b"\xef\xbb\xbfresources: {}\n")
    assert read_config(file).resources == {}


def test_a_file_that_is_not_there_or_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.yml: cannot be read: No such file"):
        read_config(tmp_path / "nowhere.yml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_config(tmp_path)


text = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufeff\u2028\u2029\x85"),
    min_size=1,
    max_size=30,
)


@given(
    version=text,
    labels=st.dictionaries(
        st.from_regex(r"[A-Za-z0-9._/-]{1,9}", fullmatch=True), text, max_size=5
    ),
    cpus=st.integers(1, 1_000_000),
)
def test_what_yaml_writes_is_read_back(version: str, labels: dict[str, str], cpus: int) -> None:
    labels = {f"a{name}z": value for name, value in labels.items()}
    entry = {"driver": "fake", "kind": "edge", "cpu": cpus, "os": {"version": version}}
    data = {"resources": {"static": {"box": entry | {"labels": labels}}}}
    resource = parse_config(yaml.safe_dump(data, allow_unicode=True), load=load).resources["box"]
    assert resource.declared.os == OperatingSystem(version=version)
    assert resource.labels == labels
    assert resource.declared.cpus == cpus


@given(st.text(max_size=200))
def test_no_text_at_all_is_more_than_a_problem(anything: str) -> None:
    assert read_or_refused(anything)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "resources",
                        "static",
                        "dynamic",
                        "box",
                        "driver",
                        "gpus",
                        "os",
                        "options",
                        "limits",
                    ]
                )
                | st.text(max_size=5),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_no_data_at_all_is_more_than_a_problem(anything: object) -> None:
    assert read_or_refused(yaml.safe_dump({"resources": anything}, allow_unicode=True))
