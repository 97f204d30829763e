"""What tests of the manager share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

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
