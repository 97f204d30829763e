"""`hwp allocate` in this process: what reaches the lab, and what is printed."""

import pytest
import yaml

from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.v1.resource_pb2 import Connection
from support.cli_lab import CliLabInThread, Hwp
from support.fake_allocation import FakeAllocation


def test_detached_hardware_is_printed_with_token_and_connection(
    hwp: Hwp, thread: CliLabInThread
) -> None:
    def grant(allocation: FakeAllocation) -> None:
        allocation.connection = Connection(protocol="ssh", address="10.0.0.9", user="me", port=22)
        allocation.ready()

    thread.lab.on_submit = grant
    result = hwp("allocate", "--cpus", "4", "--detach")
    assert result.exit_code == 0
    assert "id      a-1" in result.stdout
    assert "token   token-1" in result.stdout
    assert "me@10.0.0.9:22" in result.stdout
    assert not thread.lab.only.ended
    assert "ready after" in result.stderr
    assert "ready after" not in result.stdout


def test_quiet_says_nothing_but_the_result(hwp: Hwp) -> None:
    assert hwp("--quiet", "allocate", "--cpus", "4", "--detach").stderr == ""
    assert hwp("allocate", "-q", "--cpus", "4", "--detach").stderr == ""


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_allocate_prints_data(hwp: Hwp, form: str) -> None:
    found = yaml.safe_load(hwp("allocate", "--cpus", "4", "--detach", "-o", form).stdout)
    assert found["token"] == "token-1"
    assert found["hosts"]["host"]["connection"]["protocol"] == "local"
    assert found["state"] == "ALLOCATION_STATE_READY"


def test_without_waiting_the_place_is_kept(hwp: Hwp, thread: CliLabInThread) -> None:
    thread.lab.on_submit = lambda allocation: None
    result = hwp("allocate", "--cpus", "4", "--no-wait", "--ttl", "1h")
    assert result.exit_code == 0
    assert "state   queued" in result.stdout
    assert not thread.lab.only.ended
    assert thread.lab.only.request.lease_ttl.seconds == 3600


def test_demands_reach_the_lab_as_they_were_meant(hwp: Hwp, thread: CliLabInThread) -> None:
    words = ["--cpus", "4..8", "--memory", ">=8GiB", "--gpu", "model=rtx4000,count=2"]
    words += ["--os", "ubuntu>=20.04", "--kind", "vm", "-l", "a", "--label", "b=c"]
    more = ["--wait", "10m", "--max-duration", "2h", "--priority", "7", "--request-id", "r" * 16]
    assert hwp("allocate", "--detach", *words, *more).exit_code == 0
    request = thread.lab.only.request
    host = request.demands.hosts["host"]
    assert (host.cpus, host.memory) == ("4..8", ">=8GiB")
    assert (host.gpus[0].model, host.gpus[0].count) == ("rtx4000", 2)
    assert (host.os.distro, host.os.version) == ("ubuntu", ">=20.04")
    assert list(host.labels) == ["a", "b=c"]
    assert (request.priority, request.request_id) == (7, "r" * 16)
    assert (request.wait_timeout.seconds, request.max_duration.seconds) == (600, 7200)


def test_sets_of_hosts_reach_the_lab(hwp: Hwp, thread: CliLabInThread) -> None:
    words = ["--host", "db:cpus=8,memory=16GiB", "--host", "edge:label=jetson,label=a=b,os=ubuntu"]
    assert hwp("allocate", "--detach", *words, "--host", "any").exit_code == 0
    hosts = thread.lab.only.request.demands.hosts
    assert (hosts["db"].cpus, hosts["db"].memory) == ("8", "16GiB")
    assert list(hosts["edge"].labels) == ["jetson", "a=b"]
    assert hosts["edge"].os.distro == "ubuntu"
    assert set(hosts) == {"db", "edge", "any"}


@pytest.mark.parametrize("around", ["{}", "demands:\n  {}", "hosts:\n  {}"])
def test_demands_can_come_from_a_file(hwp: Hwp, thread: CliLabInThread, around: str) -> None:
    text = around.format("db: {cpus: 08, os: {version: 22.10}, gpus: [{model: t4, count: 2}]}")
    assert hwp("allocate", "--detach", "-f", "-", stdin=text).exit_code == 0
    host = thread.lab.only.request.demands.hosts["db"]
    assert (host.cpus, host.os.version, host.gpus[0].count) == ("08", "22.10", 2)


@pytest.mark.parametrize(
    "words",
    [
        ("--cpus", "4", "--host", "db:cpus=8"),
        ("--host", "db:cpus"),
        ("--host", ":cpus=8"),
        ("--host", "db:cpus=8,cpus=9"),
        ("--host", "db", "--host", "db"),
        ("--host", "db:cups=8"),
        ("--os", "!!"),
        ("--gpu", "model=x,=y"),
        ("--kind", "toaster"),
        ("--wait", "soon"),
        ("--priority", "101"),
        ("-f", "/nowhere"),
        ("--address", "::::"),
    ],
)
def test_wrong_usage_is_2_and_asks_for_nothing(
    hwp: Hwp, thread: CliLabInThread, words: tuple[str, ...]
) -> None:
    result = hwp("allocate", "--detach", *words)
    assert result.exit_code == ExitCode.USAGE
    assert result.stdout == ""
    assert result.stderr
    assert thread.lab.allocate_calls == 0


def test_rubbish_in_a_file_is_2(hwp: Hwp) -> None:
    for text in ("- a", "{", "", "\x00", "x"):
        assert hwp("allocate", "--detach", "-f", "-", stdin=text).exit_code == ExitCode.USAGE
