"""`hwp` in this process, against a fake lab behind real gRPC: results, formats, exit codes."""

import json
import stat
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest  # type: ignore[import-untyped]

from hwprovisioner.client import errors
from hwprovisioner.client.cli import main
from hwprovisioner.client.commands import exit_codes
from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.client.commands.own_allocations import OwnAllocations
from hwprovisioner.client.updates import Phase, Update
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import Allocation, AllocationState
from hwprovisioner.v1.resource_pb2 import AdminState, Connection, Presence
from support.cli_lab import CliLabInThread, Hwp, a_resource
from support.fake_lab import AWAY, Code, FakeAllocation, Refusal

# -- get ------------------------------------------------------------------------------------------


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


# -- allocate -------------------------------------------------------------------------------------


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


# -- what goes wrong ------------------------------------------------------------------------------


def test_a_demand_that_the_lab_refuses_names_the_fields(hwp: Hwp, thread: CliLabInThread) -> None:
    bad = BadRequest()
    bad.field_violations.add(field="demands.hosts['host'].cpus", description="'x' is no number")
    thread.lab.refuse_allocate = Refusal(
        Code.INVALID_ARGUMENT, "bad demand", "BAD_REQUEST", details=(bad,)
    )
    result = hwp("allocate", "--cpus", "x", "--detach")
    assert result.exit_code == ExitCode.USAGE
    assert "demands.hosts['host'].cpus: 'x' is no number" in result.stderr


def test_what_can_never_be_had_is_4(hwp: Hwp, thread: CliLabInThread) -> None:
    thread.lab.refuse_allocate = Refusal(Code.FAILED_PRECONDITION, "nothing fits", "UNSATISFIABLE")
    for words in (("run", "--cpus", "999", "--", "true"), ("allocate", "--no-wait")):
        result = hwp(*words)
        assert result.exit_code == ExitCode.NEVER
        assert "nothing fits" in result.stderr


def test_a_wait_that_was_over_is_5(hwp: Hwp, thread: CliLabInThread) -> None:
    thread.lab.on_submit = lambda allocation: allocation.end("WAIT_TIMEOUT")
    assert hwp("run", "--wait", "1s", "--", "true").exit_code == ExitCode.TIMED_OUT


@pytest.mark.parametrize(
    "words",
    [
        ("get", "resources"),
        ("explain",),
        ("drain", "x", "--reason", "y"),
        ("allocate", "--no-wait"),
    ],
)
def test_a_server_that_is_away_is_6(
    hwp: Hwp, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwprovisioner.client.commands.lab_options.CONTACT_LIMIT_S", 0.0)
    result = hwp("--address", "127.0.0.1:1", *words)
    assert result.exit_code == ExitCode.AWAY
    assert "127.0.0.1:1" in result.stderr
    assert "hwp up" in result.stderr


def test_a_lab_without_its_redis_is_6(
    hwp: Hwp, thread: CliLabInThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwprovisioner.client.commands.lab_options.CONTACT_LIMIT_S", 0.0)
    thread.lab.refuse_unary = [AWAY] * 100
    assert hwp("get", "resources").exit_code == ExitCode.AWAY


def test_a_lease_lost_while_waiting_is_8(hwp: Hwp, thread: CliLabInThread) -> None:
    thread.lab.on_submit = lambda allocation: allocation.end("REVOKED", "by an operator")
    result = hwp("allocate", "--cpus", "1")
    assert result.exit_code == ExitCode.LOST
    assert "by an operator" in result.stderr


def test_a_bug_is_one_line_and_debug_shows_it(hwp: Hwp, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("hwprovisioner.client.commands.table.lines", broken)
    result = hwp("get", "resources")
    assert result.exit_code == ExitCode.ERROR
    assert result.stderr == "hwp: internal error: ZeroDivisionError: oops (--debug shows where)\n"
    with pytest.raises(ZeroDivisionError):
        CliRunner().invoke(main, ["--debug", "get", "resources"], catch_exceptions=False)


def test_each_error_has_a_code_and_each_code_a_meaning() -> None:
    assert set(exit_codes.MEANINGS) == set(ExitCode)
    assert exit_codes.code_for(errors.LabError("")) is ExitCode.ERROR
    assert exit_codes.code_for(errors.CommandTimeout.__new__(errors.CommandTimeout)) == 1


@pytest.mark.parametrize("command", ["run", "allocate", "book", "explain"])
def test_examples_in_help_stand_one_on_a_line(hwp: Hwp, command: str) -> None:
    said = hwp(command, "--help").stdout
    _, examples = said.split("Example", 1)
    first = examples.split("Options:")[0].strip().splitlines()
    assert first[0] in (":", "s:")
    assert all(line.split()[:2] == ["hwp", command] for line in first[1:])


def test_the_table_of_exit_codes_is_in_help_and_in_the_docs(hwp: Hwp) -> None:
    said = hwp("--help").stdout
    page = Path(__file__).parents[2].joinpath("docs/cli.md").read_text()
    for code, meaning in exit_codes.MEANINGS.items():
        assert f"{code.value:>3}  {meaning}" in said
        assert f"| {code.value} | {meaning} |" in page


# -- release, drain, explain, watch ---------------------------------------------------------------


def test_what_this_user_allocated_is_released_by_its_id(
    hwp: Hwp, thread: CliLabInThread, tmp_path: Path
) -> None:
    hwp("allocate", "--detach")
    file = tmp_path / "hwprovisioner" / "allocations.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    result = hwp("release", "a-1")
    assert (result.exit_code, result.stdout) == (0, "a-1 released\n")
    assert thread.lab.only.ended
    assert OwnAllocations(file).tokens() == {}


def test_all_of_ones_own_are_released(hwp: Hwp, thread: CliLabInThread) -> None:
    hwp("allocate", "--detach")
    hwp("allocate", "--detach")
    assert hwp("release", "--all").stdout == "a-1 released\na-2 released\n"


def test_a_token_comes_from_the_option_then_the_environment(
    hwp: Hwp, thread: CliLabInThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWP_TOKEN", "from-env")
    hwp("release", "a-1", "--token", "from-option")
    hwp("release", "a-1")
    assert [each.token for each in thread.lab.asked] == ["from-option", "from-env"]


def test_a_wrong_token_is_7_and_so_is_none(hwp: Hwp) -> None:
    hwp("allocate", "--detach")
    assert hwp("release", "a-1", "--token", "wrong").exit_code == ExitCode.NOT_ALLOWED
    assert hwp("release", "a-9").exit_code == ExitCode.NOT_ALLOWED
    assert hwp("release", "a-9", "--token", "x").exit_code == ExitCode.NOT_FOUND
    assert hwp("release").exit_code == ExitCode.USAGE


def test_a_spoilt_file_of_tokens_is_no_obstacle(hwp: Hwp, tmp_path: Path) -> None:
    (tmp_path / "hwprovisioner").mkdir()
    for text in ("{", "[1]", '{"a": 1}', '{"a": {"token": 1}}'):
        (tmp_path / "hwprovisioner" / "allocations.json").write_text(text)
        assert hwp("allocate", "--detach").exit_code == 0
    assert hwp("release", "--all").exit_code == 0


def test_draining_says_what_became_of_it(hwp: Hwp, thread: CliLabInThread) -> None:
    assert hwp("drain", "alpha", "--reason", "fan").stdout == "alpha: draining\n"
    assert thread.lab.asked[0].reason == "fan"
    assert hwp("undrain", "alpha").stdout == "alpha: free\n"


@pytest.mark.parametrize(
    ("availability", "said", "code"),
    [
        (pb.Availability.AVAILABILITY_NOW, "now", 0),
        (pb.Availability.AVAILABILITY_LATER, "later", 0),
        (pb.Availability.AVAILABILITY_OUT_OF_SERVICE, "out of service", 0),
        (pb.Availability.AVAILABILITY_NEVER, "never", 4),
    ],
)
def test_explain_tells_now_later_out_of_service_and_never_apart(
    hwp: Hwp, thread: CliLabInThread, availability: pb.Availability.ValueType, said: str, code: int
) -> None:
    answer = pb.ExplainResponse(availability=availability, summary="not now")
    answer.hosts["host"].resources.add(resource="alpha", availability=availability, reason="in use")
    thread.lab.explanation = answer
    result = hwp("explain", "--cpus", "4")
    assert result.exit_code == code
    summary, _, heads, row = result.stdout.splitlines()
    assert summary == "not now"
    assert heads.split() == ["HOST", "RESOURCE", "CAN", "SERVE", "REASON"]
    assert row.split() == ["host", "alpha", *said.split(), "in", "use"]
    data = json.loads(hwp("explain", "--cpus", "4", "-o", "json").stdout)
    assert data["hosts"]["host"]["resources"][0]["reason"] == "in use"
    assert yaml.safe_load(hwp("explain", "-o", "yaml").stdout) == data


@pytest.mark.parametrize("form", ["lines", "json"])
def test_changes_are_told_one_on_a_line(hwp: Hwp, thread: CliLabInThread, form: str) -> None:
    gone = Refusal(Code.OUT_OF_RANGE, "forgotten", "REVISION_FORGOTTEN")
    change = pb.WatchLabResponse(revision=5, event="grant", resources=[a_resource("alpha")])
    state = AllocationState.ALLOCATION_STATE_READY
    change.allocations.add().CopyFrom(Allocation(id="a-1", state=state))
    thread.lab.changes = [change, pb.WatchLabResponse(revision=6, event="accept"), gone]
    result = hwp("watch", "-o", form)
    assert result.exit_code == ExitCode.ERROR
    line, bare = result.stdout.splitlines()
    if form == "json":
        assert [json.loads(each)["event"] for each in (line, bare)] == ["grant", "accept"]
    else:
        assert bare.endswith("accept")
        assert line.startswith("5 ")
        assert "grant: allocation a-1 ready" in line
        assert "resource alpha free" in line


def test_words_of_others_do_not_drive_the_terminal(hwp: Hwp, thread: CliLabInThread) -> None:
    gone = Refusal(Code.OUT_OF_RANGE, "for\x1b[2Jgotten", "REVISION_FORGOTTEN")
    thread.lab.changes = [pb.WatchLabResponse(revision=5, event="gra\x1b[2J\r\nnt"), gone]
    result = hwp("watch")
    assert result.stdout == "5 00:00:00Z gra [2J  nt\n"
    assert "\x1b" not in result.stderr
    waiting = Update(Phase.PREPARING, "a-1", 0.0, host="db", message="50 %\x1b[2J\r\n")
    assert waiting.line == "preparing db: 50 % [2J"


@pytest.mark.parametrize("form", ["lines", "json"])
def test_an_allocation_is_watched_until_it_ends(
    hwp: Hwp, thread: CliLabInThread, form: str
) -> None:
    hwp("allocate", "--detach")
    hwp("release", "--all")
    result = hwp("watch", "a-1", "-o", form)
    assert result.exit_code == 0
    if form == "json":
        assert json.loads(result.stdout)["ended"]["reason"] == "END_REASON_RELEASED"
    else:
        assert result.stdout == "ended: released\n"
    assert hwp("watch", "nope").exit_code == ExitCode.NOT_FOUND
    assert hwp("watch", "a-1", "--after-revision", "4").exit_code == ExitCode.USAGE


# -- health, version, completion ------------------------------------------------------------------


def test_health_is_0_if_and_only_if_it_serves(hwp: Hwp, thread: CliLabInThread) -> None:
    assert hwp("health").exit_code == 0
    assert hwp("health", "--service", "no.such.Service").exit_code == ExitCode.AWAY
    thread.call(thread.lab.readiness.close)
    result = hwp("health", "--address", thread.lab.target)
    assert (result.exit_code, result.stdout) == (6, f"{thread.lab.target} NOT_SERVING\n")
    assert hwp("health", "--address", "127.0.0.1:1").exit_code == ExitCode.AWAY


def test_version_tells_of_the_servers_too(hwp: Hwp) -> None:
    said = hwp("version").stdout
    assert "client     0." in said
    assert "SERVING" in said
    assert "m1 1.2" in said
    assert len(hwp("version", "--client").stdout.splitlines()) == 1
    assert hwp("version", "--address", "127.0.0.1:1").exit_code == 0


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_prints_a_script(hwp: Hwp, shell: str) -> None:
    assert "_HWP_COMPLETE" in hwp("completion", shell).stdout


def test_names_are_completed(hwp: Hwp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_HWP_COMPLETE", "fish_complete")
    monkeypatch.setenv("COMP_WORDS", "hwp drain al")
    monkeypatch.setenv("COMP_CWORD", "al")
    result = CliRunner().invoke(main, [], prog_name="hwp", complete_var="_HWP_COMPLETE")
    assert "alpha" in result.output
    monkeypatch.setenv("ALLOCATE_API", "127.0.0.1:1")
    result = CliRunner().invoke(main, [], prog_name="hwp", complete_var="_HWP_COMPLETE")
    assert result.output.strip() == ""


def test_a_command_that_is_not_there_is_guessed(hwp: Hwp) -> None:
    result = hwp("rnu")
    assert result.exit_code == ExitCode.USAGE
    assert "No such command 'rnu'" in result.stderr
