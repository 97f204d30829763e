import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import Config, read_config
from hwprovisioner.resourcemanager.reload import Reloader
from support.eventually import eventually


def lab(*names: str) -> str:
    entries = ", ".join(f"{name}: {{driver: local}}" for name in names)
    return f"resources: {{static: {{{entries}}}}}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "resources.yml"
    file.write_text(lab("a"))
    return file


@contextlib.asynccontextmanager
async def following(file: Path) -> AsyncIterator[list[Config]]:
    taken: list[Config] = []
    reloader = Reloader(file, read_config(file), taken.append)
    task = asyncio.create_task(reloader.run())
    # The signal handler is set before the tasks begin; without it, a hang-up ends the tests.
    await eventually(lambda: len(asyncio.all_tasks()) > 2)
    try:
        yield taken
    finally:
        task.cancel()
        await asyncio.wait([task])


def replace(file: Path, text: str) -> None:
    new = file.with_name("new")
    new.write_text(text)
    new.replace(file)


def hang_up() -> None:
    os.kill(os.getpid(), signal.SIGHUP)


async def test_a_replaced_file_is_taken(file: Path) -> None:
    async with following(file) as taken:
        at = 0

        def changed() -> bool:
            # The watch may not be on yet at the first change: change it until it is seen.
            nonlocal at
            at += 1
            replace(file, lab("a", f"b{at}"))
            return bool(taken)

        await eventually(changed)
        assert "a" in taken[0].resources


async def test_a_hang_up_reads_the_file_again(file: Path) -> None:
    async with following(file) as taken:
        replace(file, lab("a", "b"))
        hang_up()
        await eventually(lambda: taken)
        assert set(taken[-1].resources) == {"a", "b"}


async def test_a_bad_file_never_replaces_a_good_one(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with following(file) as taken:
        replace(file, "resources: [")
        hang_up()
        await eventually(lambda: "not YAML" in caplog.text)
        replace(file, "resources: {static: {a: {driver: lokal}}}")
        hang_up()
        await eventually(lambda: "lokal" in caplog.text)
        os.remove(file)
        hang_up()
        await eventually(lambda: "No such file" in caplog.text)
        assert taken == []
        replace(file, lab("a", "c"))
        hang_up()
        await eventually(lambda: taken)
        assert "the one before stays" in caplog.text


async def test_a_file_that_says_the_same_changes_nothing(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with following(file) as taken:
        replace(file, "# a remark\n" + lab("a"))
        hang_up()
        await eventually(lambda: "nothing is different" in caplog.text)
        assert taken == []
