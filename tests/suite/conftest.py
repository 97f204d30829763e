"""What tests of `hwp up` share."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.up import Start, Up


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[Start]:
    """Starts runs of `hwp up` on one state folder, and kills what is left of them."""
    runs: list[Up] = []

    def start(*arguments: str, real: bool = False, **environment: str) -> Up:
        runs.append(Up(tmp_path, *arguments, real=real, **environment))
        return runs[-1]

    yield start
    for run in runs:
        with contextlib.suppress(ProcessLookupError):
            run.process.kill()
        run.process.wait()
