"""`hwp get` in this process, against a fake lab behind real gRPC: tables, formats, filters."""

import json

import pytest
import yaml
from google.protobuf.timestamp_pb2 import Timestamp

from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.v1.resource_pb2 import AdminState, Presence
from support.cli_lab import CliLabInThread, Hwp, a_resource


def test_resources_are_a_table_that_is_never_cut_in_a_pipe(
    hwp: Hwp, thread: CliLabInThread
) -> None:
    thread.lab.resources.append(a_resource("x" * 200))
    heads, *rows = hwp("get", "resources").stdout.splitlines()
    assert heads.split() == "NAME KIND CPUS MEMORY GPUS OS STATE LABELS".split()
    assert rows[0].split()[0] == "alpha"
    assert rows[0].split()[-1] == "bench,rack=a1"
    assert "2xrtx4000" in rows[0]
    assert "16GiB" in rows[0]
    assert "free" in rows[0]
    assert "in use" in rows[1]
    assert "x" * 200 in rows[2]
    # Columns begin where their heads do.
    assert {row.index("physical-server") for row in rows} == {heads.index("KIND")}


def test_wide_tells_more(hwp: Hwp) -> None:
    heads, _, beta = hwp("get", "resources", "-o", "wide").stdout.splitlines()
    assert beta.index("5.15.0-91") == heads.index("KERNEL")
    assert "ALLOCATIONS" in heads
    assert "a-1" in beta


@pytest.mark.parametrize(
    ("resource", "state"),
    [
        ({"presence": Presence.PRESENCE_LOST}, "lost"),
        ({"admin_state": AdminState.ADMIN_STATE_MAINTENANCE}, "maintenance"),
        ({"declined_until_time": Timestamp(seconds=2**33)}, "declined"),
    ],
)
def test_what_keeps_a_resource_from_being_had_is_its_state(
    hwp: Hwp, thread: CliLabInThread, resource: dict[str, object], state: str
) -> None:
    thread.lab.resources[:] = [a_resource("gamma", **resource)]
    assert state in hwp("get", "res").stdout


def test_json_has_the_contracts_names_and_all_pages(hwp: Hwp, thread: CliLabInThread) -> None:
    thread.lab.resources += [a_resource("gamma"), a_resource("delta")]
    found = json.loads(hwp("get", "resources", "-o", "json").stdout)
    assert [each["spec"]["name"] for each in found["resources"]] == [
        "alpha",
        "beta",
        "gamma",
        "delta",
    ]
    assert found["resources"][0]["spec"]["memoryBytes"] == str(16 * 2**30)
    assert found["resources"][0]["holds"] == []


def test_yaml_of_one_that_is_named_is_no_list(hwp: Hwp) -> None:
    found = yaml.safe_load(hwp("get", "resource", "alpha", "-o", "yaml").stdout)
    assert found["spec"]["labels"] == {"bench": "", "rack": "a1"}


def test_names_are_one_on_a_line(hwp: Hwp) -> None:
    assert hwp("get", "resources", "-o", "name").stdout == "alpha\nbeta\n"
    assert hwp("get", "managers", "-o", "name").stdout == "m1\n"


def test_filters_are_the_labs(hwp: Hwp, thread: CliLabInThread) -> None:
    words = ("--label", "bench", "--kind", "server", "--free", "--manager", "m1")
    assert hwp("get", "resources", *words).exit_code == 0
    asked = thread.lab.asked[0]
    assert (asked.free, asked.manager) == (True, "m1")
    assert list(asked.demand.labels) == ["bench"]
    assert len(asked.demand.kinds) == 1


def test_names_and_filters_exclude_each_other(hwp: Hwp) -> None:
    assert hwp("get", "resources", "alpha", "--free").exit_code == ExitCode.USAGE


def test_nothing_found_is_said_and_no_error(hwp: Hwp, thread: CliLabInThread) -> None:
    thread.lab.resources.clear()
    result = hwp("get", "resources")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "nothing found\n")


def test_managers_are_shown(hwp: Hwp) -> None:
    heads, row = hwp("get", "managers").stdout.splitlines()
    assert heads.split() == ["ID", "STATE", "RESOURCES", "VERSION", "REGISTERED"]
    assert row.split() == ["m1", "online", "2", "1.2", "-"]
    assert json.loads(hwp("get", "manager", "m1", "-o", "json").stdout)["resourceCount"] == 2


def test_allocations_are_shown_with_what_they_wait_for(hwp: Hwp, thread: CliLabInThread) -> None:
    thread.lab.on_submit = lambda allocation: allocation.queue(2, "beta is in use")
    assert hwp("allocate", "--cpus", "4", "--no-wait").exit_code == 0
    message = thread.lab.only.message
    message.queue_place.place, message.queue_place.reason = 2, "beta is in use"
    row = hwp("get", "allocations").stdout.splitlines()[1]
    assert "a-1  queued" in row
    assert "place 2: beta is in use" in row
    assert hwp("get", "allocations", "--state", "ready").stdout == ""
    assert hwp("get", "allocations", "--state", "reday").exit_code == ExitCode.USAGE


@pytest.mark.parametrize("kind", ["resource", "allocation", "manager"])
def test_what_is_not_there_is_3(hwp: Hwp, kind: str) -> None:
    result = hwp("get", kind, "nope")
    assert result.exit_code == ExitCode.NOT_FOUND
    assert result.stdout == ""
