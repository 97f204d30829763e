"""What goes wrong with `hwp`: exit codes, and what is said."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from google.rpc.error_details_pb2 import BadRequest  # type: ignore[import-untyped]

from hwprovisioner.client import errors
from hwprovisioner.client.cli import main
from hwprovisioner.client.commands import exit_codes
from hwprovisioner.client.commands.exit_codes import ExitCode
from support.cli_lab import CliLabInThread, Hwp
from support.fake_refusals import AWAY, Code, Refusal


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
