"""`hwp release`, and whose it may be."""

import stat
from pathlib import Path

import pytest

from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.client.commands.own_allocations import OwnAllocations
from support.cli_lab import CliLabInThread, Hwp


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
