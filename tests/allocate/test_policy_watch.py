import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hwprovisioner.allocate import policy_watch
from hwprovisioner.allocate.policy import Policy
from hwprovisioner.allocate.policy_file import read_policy
from hwprovisioner.allocate.policy_watch import PolicyWatch
from support.eventually import eventually


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "policy.yml"
    file.write_text("show_up: 1m")
    return file


@pytest.fixture
def taken() -> list[Policy]:
    return []


@pytest.fixture
def watch(file: Path, taken: list[Policy], caplog: pytest.LogCaptureFixture) -> PolicyWatch:
    caplog.set_level("INFO")
    return PolicyWatch(file, read_policy(file), taken.append)


async def look_twice(watch: PolicyWatch) -> None:
    await watch.look()
    await watch.look()


def replace(file: Path, text: str) -> None:
    """Write it as editors do; the new file is another one even within one tick of the clock."""
    new = file.with_name("new")
    new.write_text(text)
    new.replace(file)


async def test_a_changed_file_is_taken_once(
    file: Path, watch: PolicyWatch, taken: list[Policy]
) -> None:
    await look_twice(watch)
    assert taken == []
    replace(file, "show_up: 2m")
    await look_twice(watch)
    await look_twice(watch)
    assert taken == [Policy(show_up_ms=120_000)]


async def test_a_change_before_the_first_look_is_not_missed(
    file: Path, watch: PolicyWatch, taken: list[Policy]
) -> None:
    replace(file, "show_up: 2m")
    await look_twice(watch)
    assert taken == [Policy(show_up_ms=120_000)]


async def test_a_file_that_still_changes_is_not_read(
    file: Path, watch: PolicyWatch, taken: list[Policy]
) -> None:
    for text in ("show_up: 2m", "show_up: 2m\n", "show_up: 2m\nbackfill: false"):
        replace(file, text)
        await watch.look()
        assert taken == []
    await watch.look()
    assert taken == [Policy(show_up_ms=120_000, backfill=False)]


async def test_a_bad_file_leaves_the_policy_and_is_told_once_with_all_problems(
    file: Path, watch: PolicyWatch, taken: list[Policy], caplog: pytest.LogCaptureFixture
) -> None:
    replace(file, "backfill: 7\nshow_up: 7")
    await look_twice(watch)
    await look_twice(watch)
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert "the one before stays" in record.message
    assert "policy.yml:1:11: backfill" in record.message
    assert "policy.yml:2:10: show_up" in record.message
    assert taken == []
    replace(file, "show_up: 1m")
    await look_twice(watch)
    assert "is in order again and says the same" in caplog.records[-1].message
    assert taken == []


async def test_a_file_that_vanishes_leaves_the_policy_and_is_taken_when_it_is_back(
    file: Path, watch: PolicyWatch, taken: list[Policy], caplog: pytest.LogCaptureFixture
) -> None:
    await look_twice(watch)
    os.remove(file)
    await look_twice(watch)
    await look_twice(watch)
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "put it back" in record.message
    assert taken == []
    replace(file, "show_up: 3m")
    await look_twice(watch)
    assert taken == [Policy(show_up_ms=180_000)]


async def test_a_swapped_link_is_a_change(
    file: Path, watch: PolicyWatch, taken: list[Policy], tmp_path: Path
) -> None:
    """As Kubernetes mounts a ConfigMap."""
    other = tmp_path / "other.yml"
    other.write_text("show_up: 4m")
    link = tmp_path / "link"
    link.symlink_to(other)
    os.replace(link, file)
    await look_twice(watch)
    assert taken == [Policy(show_up_ms=240_000)]


@contextlib.asynccontextmanager
async def watching(watch: PolicyWatch) -> AsyncIterator[None]:
    task = asyncio.create_task(watch.watch())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_the_file_is_followed_until_cancelled(
    file: Path, watch: PolicyWatch, taken: list[Policy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_watch, "_INTERVAL_S", 0.001)
    async with watching(watch):
        replace(file, "backfill: 7")
        replace(file, "show_up: 5m")
        await eventually(lambda: taken)
        replace(file, "show_up: 6m")
        await eventually(lambda: len(taken) == 2)
    assert [policy.show_up_ms for policy in taken] == [300_000, 360_000]
