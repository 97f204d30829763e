"""resources.yml: how what is wrong with it is told, and where."""

from typing import Annotated

import pytest
from pydantic import BaseModel, Field, SecretStr

from hwprovisioner.resourcemanager import ConfigError, Driver, DriverNotUsable, parse_config
from support.lab_file import problems
from support.manager import Hardware


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
