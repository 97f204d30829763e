"""Ephemeral access of driver `ssh` to machines that do not answer: how they are cleaned, too."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from hwprovisioner.resourcemanager import DriverError, calls
from hwprovisioner.resourcemanager.drivers import _ssh_machine
from support.eventually import eventually
from support.ssh_holder import (
    driver_for,
    give_back,
    hold,
    is_let_in,
    keys,
    keys_file,
    prepare,
    session,
)
from support.sshd import Sshd


async def test_a_machine_that_does_not_answer_is_cleaned_from_outside_and_nobody_stays_in(
    own_sshd: Sshd, holder: Path, tmp_path: Path
) -> None:
    asked, log = tmp_path / "asked", tmp_path / "log"
    driver = driver_for(
        own_sshd,
        tear_down=[f"echo torn down >> {log}", {"manager": ["sh", "-c", f"echo beside >> {log}"]}],
        clean=[
            {"manager": ["touch", str(asked)]},
            f"grep -c hwprovisioner {keys_file(own_sshd)} >> {log}; true",
        ],
    )
    theirs = hold(holder)
    await prepare(driver, theirs)
    lines: list[str] = []
    with session(own_sshd, holder, "echo up; sleep 600") as running:
        own_sshd.stop()
        await calls.tear_down(driver, theirs, lines.append)
        cleaning = asyncio.create_task(calls.clean(driver, theirs, lines.append))
        await eventually(asked.exists)
        assert is_in(own_sshd, "hwprovisioner:refb:refb.7")
        own_sshd.start()
        await cleaning
        assert await asyncio.to_thread(running.wait, 10) != 0
    assert not is_let_in(own_sshd, holder)
    # What is done on the machine is done when nobody is in any more.
    assert log.read_text() == "beside\n0\n"
    assert any(
        line.startswith("what cannot be reached is left to its cleaning: ") for line in lines
    )
    assert any(line.startswith("whoever is in is let out later: ") for line in lines)


def is_in(server: Sshd, mark: str) -> bool:
    return any(line.endswith(mark) for line in keys(server))


async def test_a_machine_that_stays_away_is_not_clean_though_its_steps_were_taken(
    own_sshd: Sshd, holder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ssh_machine, "_BACK_S", 0.5)
    driver, theirs = driver_for(own_sshd, clean=[{"manager": "true"}]), hold(holder)
    await prepare(driver, theirs)
    own_sshd.stop()
    with pytest.raises(DriverError, match=r"does not answer after true within 0\.5 s"):
        await calls.clean(driver, theirs, lambda line: None)
    own_sshd.start()
    await calls.clean(driver, theirs, lambda line: None)
    assert not is_let_in(own_sshd, holder)


async def test_whoever_cannot_be_let_out_is_let_out_once_that_was_mended_from_outside(
    own_sshd: Sshd, holder: Path, tmp_path: Path
) -> None:
    # The machine answers, but its file of keys cannot be written.
    folder = tmp_path / "keys"
    folder.mkdir()
    file = folder / "authorized_keys"
    broken = tmp_path / "broken"
    options: dict[str, Any] = {"authorized_keys": str(file), "tear_down": ["exit 1"]}
    mend = {"manager": ["sh", "-c", f"rmdir {file}; mv {broken} {file}"]}
    theirs = hold(holder)
    await prepare(driver_for(own_sshd, **options), theirs)
    file.rename(broken)
    file.mkdir()
    (file / "full").touch()
    for call in (calls.tear_down, calls.clean):
        with pytest.raises(DriverError, match="its holder cannot be let out: "):
            await call(driver_for(own_sshd, **options), theirs, lambda line: None)
    (file / "full").unlink()
    mended = driver_for(own_sshd, **options, clean=[mend])
    await give_back(mended, theirs)
    assert file.read_text() == ""


@pytest.mark.parametrize("clean", [[], ["true"], ["true", {"manager": "true"}]])
async def test_without_a_way_from_outside_it_is_said_that_it_cannot_be_reached(
    own_sshd: Sshd, holder: Path, clean: list[object]
) -> None:
    driver, theirs = driver_for(own_sshd, clean=clean), hold(holder)
    await prepare(driver, theirs)
    own_sshd.stop()
    for call in (calls.tear_down, calls.clean):
        with pytest.raises(DriverError, match="cannot be reached"):
            await call(driver, theirs, lambda line: None)
