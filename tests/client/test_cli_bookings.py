"""Bookings and waits on the command line."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import PreconditionFailure  # type: ignore[import-untyped]

from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.client.commands.own_allocations import OwnAllocations
from hwprovisioner.client.commands.shown_waits import demands_line
from hwprovisioner.client.demands import build
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1.demand_pb2 import Demands
from hwprovisioner.v1.resource_pb2 import Booked
from support.cli_lab import CliLabInThread, Hwp, a_resource
from support.fake_refusals import Code, Refusal, seconds

FAR = "2126-05-01T14:00"
MOMENT = datetime(2126, 5, 1, 14, 0).astimezone()


def at(moment: datetime) -> Timestamp:
    found = Timestamp()
    found.FromDatetime(moment.astimezone(UTC))
    return found


# -- booking --------------------------------------------------------------------------------------


def test_a_booking_is_printed_kept_and_cancelled_by_its_id(
    hwp: Hwp, thread: CliLabInThread, tmp_path: Path
) -> None:
    words = ("--cpus", "8", "--count", "2", "--different", "rack", "--ttl", "1m")
    result = hwp("book", "--from", FAR, "--for", "2h", *words)
    assert result.exit_code == 0
    end = MOMENT + timedelta(hours=2)
    assert result.stdout.splitlines() == [
        "id      a-1",
        "token   token-1",
        f"from    {MOMENT.isoformat()}",
        f"until   {end.isoformat()}",
    ]
    request = thread.lab.only.request
    assert (request.demands.hosts["host"].count, request.lease_ttl.seconds) == (2, 60)
    assert OwnAllocations(tmp_path / "hwprovisioner/allocations.json").tokens() == {
        "a-1": "token-1"
    }
    assert hwp("release", "a-1").stdout == "a-1 released\n"
    assert thread.lab.only.ended


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_booking_is_printed_as_data(hwp: Hwp, form: str) -> None:
    found = yaml.safe_load(hwp("book", "--from", FAR, "--until", "16:00", "-o", form).stdout)
    assert (found["id"], found["token"]) == ("a-1", "token-1")
    assert found["state"] == "ALLOCATION_STATE_BOOKED"


def test_until_counts_from_the_start(hwp: Hwp, thread: CliLabInThread) -> None:
    for until in ("16:00", "+2h", "2126-05-01T16:00"):
        assert hwp("book", "--from", FAR, "--until", until).exit_code == 0
    ends = {a.request.end_time.seconds for a in thread.lab.allocations.values()}
    assert ends == {at(MOMENT + timedelta(hours=2)).seconds}


def test_the_token_of_a_booking_is_kept_for_longer_than_it_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = OwnAllocations(tmp_path / "allocations.json")
    now = time.time()
    own.add("booked", "b", begins_s=now + 300 * 86400)
    own.add("allocated", "a")
    monkeypatch.setattr(time, "time", lambda: now + 320 * 86400)
    assert own.tokens() == {"booked": "b"}
    monkeypatch.setattr(time, "time", lambda: now + 332 * 86400)
    assert own.tokens() == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--for", "2h"), "--from"),
        (("--from", FAR), "either --until or --for"),
        (("--from", FAR, "--for", "2h", "--until", "16:00"), "either --until or --for"),
        (("--from", "tomorrow", "--for", "2h"), "start: 'tomorrow' is no moment"),
        (("--from", "2126-05-01", "--for", "2h"), "is no moment"),
        (("--from", FAR, "--until", "2126-05-01T13:00"), "is not after the start"),
        (("--from", FAR, "--for", "soon"), "duration: 'soon' is no span of time"),
        (("--from", FAR, "--for", "2h", "--host", "db:cups=8"), "did you mean 'cpus'"),
    ],
)
def test_wrong_usage_is_2_and_books_nothing(
    hwp: Hwp, thread: CliLabInThread, words: tuple[str, ...], said: str
) -> None:
    result = hwp("book", *words)
    assert result.exit_code == ExitCode.USAGE
    assert said in result.stderr
    assert not thread.lab.allocations


def test_a_conflict_is_9_and_says_what_stands_in_the_way(hwp: Hwp, thread: CliLabInThread) -> None:
    why = "refb is booked by ann until 16:00"
    failure = PreconditionFailure.Violation(subject="db", description=why)
    thread.lab.refuse_book = Refusal(
        Code.FAILED_PRECONDITION,
        "the set cannot be promised",
        "BOOKING_CONFLICT",
        details=(PreconditionFailure(violations=[failure]),),
    )
    result = hwp("book", "--from", FAR, "--for", "2h")
    assert result.exit_code == ExitCode.CONFLICT
    assert result.stderr == f"hwp: the set cannot be promised (db: {why})\n"


def test_what_no_quota_allows_is_4(hwp: Hwp, thread: CliLabInThread) -> None:
    never = Refusal(Code.FAILED_PRECONDITION, "at most 4 gpus for ann", "QUOTA_NEVER")
    thread.lab.refuse_book = thread.lab.refuse_allocate = never
    for words in (("book", "--from", FAR, "--for", "2h"), ("run", "--", "true")):
        result = hwp(*words)
        assert result.exit_code == ExitCode.NEVER
        assert "at most 4 gpus for ann" in result.stderr


# -- running on it --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("--allocation", "a-1", "--cpus", "4"),
        ("--allocation", "a-1", "--different", "rack"),
        ("--allocation", "a-1", "--wait", "1m"),
        ("--allocation", "a-1", "--priority", "3"),
        ("--token", "token-1"),
    ],
)
def test_something_new_and_something_booked_exclude_each_other(
    hwp: Hwp, thread: CliLabInThread, words: tuple[str, ...]
) -> None:
    assert hwp("run", *words, "--", "true").exit_code == ExitCode.USAGE
    assert not thread.lab.watch_calls


def test_a_booking_needs_its_token(hwp: Hwp, monkeypatch: pytest.MonkeyPatch) -> None:
    result = hwp("run", "--allocation", "a-9", "--", "true")
    assert result.exit_code == ExitCode.NOT_ALLOWED
    assert "give --token or HWP_TOKEN" in result.stderr
    monkeypatch.setenv("HWP_TOKEN", "x")
    assert hwp("run", "--allocation", "a-9", "--", "true").exit_code == ExitCode.NOT_FOUND


# -- showing it -----------------------------------------------------------------------------------


def test_bookings_are_shown_by_when_they_begin(hwp: Hwp, thread: CliLabInThread) -> None:
    hwp("book", "--from", "2126-05-02T14:00", "--for", "2h", "--count", "2")
    hwp("book", "--from", FAR, "--for", "2h")
    hwp("book", "--from", FAR, "--for", "2h")
    hwp("release", "a-3")
    hwp("allocate", "--detach")
    heads, *rows = hwp("get", "bookings").stdout.splitlines()
    assert heads.split() == ["ID", "STATE", "USER", "HOSTS", "FROM", "UNTIL"]
    assert [row.split()[0] for row in rows] == ["a-2", "a-1"]
    assert rows[0].endswith("host    2126-05-01 14:00  2126-05-01 16:00")
    assert "2xhost" in rows[1]
    assert "COMMAND" in hwp("get", "booking", "-o", "wide").stdout
    found = json.loads(hwp("get", "bookings", "-o", "json").stdout)
    assert [each["id"] for each in found["allocations"]] == ["a-2", "a-1"]
    assert hwp("get", "bookings", "-o", "name").stdout == "a-2\na-1\n"


def test_an_allocation_says_when_it_begins_or_is_expected(hwp: Hwp, thread: CliLabInThread) -> None:
    hwp("book", "--from", FAR, "--for", "2h")
    allocation = thread.lab.only
    row = hwp("get", "allocations", "--state", "booked").stdout.splitlines()[1]
    assert row.endswith("booked from 2126-05-01 14:00 until 2126-05-01 16:00")
    assert hwp("watch", "nope").exit_code == ExitCode.NOT_FOUND
    likely = at(MOMENT + timedelta(minutes=35))
    thread.call(lambda: allocation.queue(3, "in use", expected_time=at(MOMENT), likely_time=likely))
    row = hwp("get", "allocations").stdout.splitlines()[1]
    said = "place 3, expected 2126-05-01 14:00 (90 % by 2126-05-01 14:35): in use"
    assert row.endswith(said)
    allocation.message.preempt_time.CopyFrom(at(MOMENT))
    thread.call(allocation.ready)
    row = hwp("get", "allocations").stdout.splitlines()[1]
    assert row.endswith("gives way at 2126-05-01 14:00")


def test_an_allocation_that_is_watched_says_so_too(hwp: Hwp, thread: CliLabInThread) -> None:
    hwp("book", "--from", FAR, "--for", "2h")
    allocation = thread.lab.only

    def move_on() -> None:
        allocation.queue(3, "in use", expected_time=at(MOMENT))
        allocation.end("EXPIRED")

    thread.call(lambda: thread.lab.when_watched.append(move_on))
    assert hwp("watch", "a-1").stdout.splitlines() == [
        "booked from 2126-05-01 14:00",
        "queued at place 3, expected 2126-05-01 14:00: in use",
        "ended: expired",
    ]


def test_a_resource_says_for_when_it_is_booked(hwp: Hwp, thread: CliLabInThread) -> None:
    end = at(MOMENT + timedelta(hours=2))
    booked = [Booked(allocation_id="a-1", user="ann", start_time=at(MOMENT), end_time=end)]
    thread.lab.resources[:] = [a_resource("alpha", booked=booked)]
    assert "2126-05-01 14:00 to 2126-05-01 16:00 by ann" in hwp("get", "res", "-o", "wide").stdout


def test_waits_are_shown_by_what_was_asked_for(hwp: Hwp, thread: CliLabInThread) -> None:
    thread.lab.wait_times = [
        pb.WaitTimes(
            class_id="0123456789abcdef",
            demands=build({"host": {"cpus": 8}}),
            queued_count=2,
            granted_count=40,
            median_wait=seconds(200),
            likely_wait=seconds(7500),
            median_span=seconds(42),
            likely_span=seconds(60),
        ),
        pb.WaitTimes(class_id="fedcba", queued_count=1),
    ]
    heads, first, second = hwp("get", "waits").stdout.splitlines()
    assert heads.split("  ")[0] == "CLASS"
    assert [cell.strip() for cell in first.split("  ") if cell.strip()] == [
        *("0123456789ab", "cpus=8", "2", "40"),
        *("3 min 20 s", "2 h 5 min", "42 s", "1 min 0 s"),
    ]
    assert second.split() == ["fedcba", "-", "1", "0", "-", "-", "-", "-"]
    assert "0123456789abcdef" in hwp("get", "wait", "-o", "wide").stdout
    found = json.loads(hwp("get", "waits", "-o", "json").stdout)
    assert [each["queuedCount"] for each in found["classes"]] == [2, 1]
    assert yaml.safe_load(hwp("get", "waits", "-o", "yaml").stdout) == found


@pytest.mark.parametrize(
    ("demands", "line"),
    [
        ({"host": {}}, "anything"),
        ({"host": {"cpus": 8, "count": 2}}, "count=2,cpus=8"),
        (
            {
                "db": {"memory": "8GiB", "kind": "vm", "gpus": [{"model": "t4", "count": 2}]},
                "any": {},
                "same": {"switch": ["db", "any"]},
                "different": "rack",
            },
            "any db:kind=virtual-machine,memory=8GiB,gpu=2xt4 same=switch:db,any different=rack",
        ),
        (
            {
                "host": {
                    "os": "ubuntu 22.04",
                    "labels": "a=b",
                    "not_resources": "x",
                    "where": "true",
                }
            },
            "os=ubuntu 22.04,label=a=b,not=x,where=true",
        ),
        (
            {"host": {"resource": "r", "any_of": [{"gpus": 1}, {"cpus": 2}]}},
            "resource=r,any-of=(gpu=any)|(cpus=2)",
        ),
        (
            {"host": {"provisioning": {"image": "i", "disk": "1G", "parameters": {"a": "b"}}}},
            "image=i,disk=1G,param=a=b",
        ),
    ],
)
def test_demands_are_written_as_the_options_are(demands: dict[str, object], line: str) -> None:
    assert demands_line(build(demands)) == line
    assert demands_line(Demands()) == ""
