"""What tests of the manager share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support import exec_script, ssh_holder, sshd
from support.folder_maker import Workshop
from support.scripted_lab import ScriptedLab, scripted_lab


@pytest.fixture
async def lab() -> AsyncIterator[ScriptedLab]:
    """A lab that says what the test says."""
    async with scripted_lab() as lab:
        yield lab


@pytest.fixture
def journal_file(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """Where folders are made instead of machines."""
    return Workshop(tmp_path / "made")


@pytest.fixture(scope="module")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    """A real sshd for all tests of a module, which leave it as it is."""
    with sshd.running(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def script(tmp_path: Path) -> exec_script.Make:
    """What makes drivers of the bodies of scripts."""
    return exec_script.maker(tmp_path)


@pytest.fixture
def own_sshd(tmp_path: Path) -> Iterator[sshd.Sshd]:
    """A real sshd for one test, which may change it."""
    folder = tmp_path / "sshd"
    folder.mkdir()
    with sshd.running(folder) as server:
        yield server


@pytest.fixture
def holder(tmp_path: Path) -> Path:
    """A holder's private key."""
    return ssh_holder.new_key(tmp_path / "holder")
