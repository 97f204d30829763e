"""`hwp drain`, `explain` and `watch`: what becomes of a lab."""

import json

import pytest
import yaml

from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.client.updates import Phase, Update
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.allocation_pb2 import Allocation, AllocationState
from support.cli_lab import CliLabInThread, Hwp, a_resource
from support.fake_refusals import Code, Refusal


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
