"""A lab of the test's own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hwprovisioner.client import AsyncLab, Settings
from hwprovisioner.client.cli import main
from support.cli_lab import CliLabInThread, Hwp
from support.fake_lab import FakeLab, fake_lab
from support.fake_time import FakeTime
from support.lab_in_thread import LabInThread
from support.plugin_run import STRANGERS


@pytest.fixture
async def fake() -> AsyncIterator[FakeLab]:
    async with fake_lab() as lab:
        yield lab


@pytest.fixture
def clock() -> FakeTime:
    return FakeTime()


@pytest.fixture
async def lab(fake: FakeLab) -> AsyncIterator[AsyncLab]:
    """Over the system's clock: for what needs no time to pass."""
    async with AsyncLab(fake.target, fake.target) as lab:
        yield lab


@pytest.fixture
async def timed_lab(fake: FakeLab, clock: FakeTime) -> AsyncIterator[AsyncLab]:
    """Over the test's own clock."""
    settings = Settings(allocate_address=fake.target, heartbeat_address=fake.target)
    async with AsyncLab(settings=settings, time=clock) as lab:
        yield lab


@pytest.fixture
def threaded() -> Iterator[LabInThread]:
    """For tests that block."""
    with LabInThread() as lab:
        yield lab


@pytest.fixture
def thread() -> Iterator[CliLabInThread]:
    """What `hwp` talks to."""
    with CliLabInThread() as lab:
        yield lab


@pytest.fixture
def hwp(thread: CliLabInThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hwp:
    """`hwp` in this process."""
    monkeypatch.setenv("ALLOCATE_API", thread.lab.target)
    monkeypatch.setenv("HEARTBEAT_API", thread.lab.target)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("HWP_TOKEN", raising=False)

    def invoke(*words: str, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(main, words, input=stdin)
        assert "Traceback" not in result.output
        return result

    return invoke


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of pytest inside this one know nothing of it."""
    for name in ("ALLOCATE_API", "HEARTBEAT_API", "PYTEST_PLUGINS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_ADDOPTS", " ".join(f"-p no:{name}" for name in STRANGERS))
