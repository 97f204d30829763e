"""A lab, and `hwp` as processes that talk to it."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.cli_lab import CliLab, cli_lab
from support.cli_process import Starter


@pytest.fixture
async def lab() -> AsyncIterator[CliLab]:
    async with cli_lab() as lab:
        lab.next_beat_s = 0.05
        yield lab


@pytest.fixture
def environment(lab: CliLab, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "ALLOCATE_API": lab.target,
        "HEARTBEAT_API": lab.target,
        "XDG_STATE_HOME": str(tmp_path),
    }


@pytest.fixture
async def start(environment: dict[str, str]) -> AsyncIterator[Starter]:
    starter = Starter(environment)
    yield starter
    for run in starter.runs:
        await run.is_over()
