"""What a manager marks all that it makes with."""

from pathlib import Path

import pytest

from hwprovisioner.resourcemanager.errors import JournalError
from hwprovisioner.resourcemanager.mark import MARK, kept_mark, mark_file
from hwprovisioner.resourcemanager.settings import Settings
from hwprovisioner.serving import SettingsError, from_env


def test_it_is_made_once_and_stays(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    mark = kept_mark(journal)
    assert MARK.fullmatch(mark)
    assert kept_mark(journal) == mark
    assert [file.name for file in tmp_path.iterdir()] == ["journal.mark"]
    assert kept_mark(tmp_path / "another") != mark


@pytest.mark.parametrize(
    ("text", "words"), [(b"", "'' should be 1 to 16"), (b"a b", "'a b' should"), (b"\xff", "text")]
)
def test_one_that_is_spoiled_is_not_made_anew(tmp_path: Path, text: bytes, words: str) -> None:
    file = mark_file(tmp_path / "journal")
    file.write_bytes(text)
    with pytest.raises(JournalError, match=words):
        kept_mark(tmp_path / "journal")
    assert file.read_bytes() == text


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="No such file"):
        kept_mark(tmp_path / "nowhere" / "journal")


def test_one_can_be_given() -> None:
    assert settings(HWP_MARK="5f3a09c1").mark == "5f3a09c1"
    assert settings().mark == ""
    with pytest.raises(SettingsError, match="HWP_MARK=lab-1: should be 1 to 16 of a-z 0-9"):
        settings(HWP_MARK="lab-1")


def settings(**environment: str) -> Settings:
    return from_env(Settings, environment)
