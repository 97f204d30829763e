"""`hwp health`, `version` and `completion`: what it knows of itself and of the services."""

import pytest
from click.testing import CliRunner

from hwprovisioner.client.cli import main
from hwprovisioner.client.commands.exit_codes import ExitCode
from support.cli_lab import CliLabInThread, Hwp


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
