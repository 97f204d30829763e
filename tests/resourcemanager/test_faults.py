"""Drivers that hang, raise or answer nonsense: one resource's trouble, and no other's."""

from pathlib import Path

import pytest

from support.manager import manager
from support.misbehaving import FAULTS, misbehaving, two, works
from support.scripted_lab import ScriptedLab


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_in_readying_up_fails_that_hold_with_its_own_words(
    lab: ScriptedLab, journal_file: Path, name: str
) -> None:
    fault, words = FAULTS[name]
    async with manager(lab.target, journal_file, misbehaving(fault, "prepare"), two()):
        session = await lab.session()
        await session.offer("h1", 1, "bad")
        failed = await session.hear("failed", hold_id="h1")
        assert failed.reason.startswith("prepare: ")
        assert words in failed.reason
        await works(session, "g1", 1, "good")
        session.heard.clear()
        await session.release("h1", 2, "bad")
        await session.hear("cleaned", hold_id="h1")
        assert (await session.hear("volunteer")).spec.name == "bad"
        await works(session, "h2", 3, "bad")


@pytest.mark.parametrize("action", ["tear_down", "clean"])
@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_in_cleaning_is_tried_again(
    lab: ScriptedLab, journal_file: Path, name: str, action: str
) -> None:
    fault, words = FAULTS[name]
    async with manager(lab.target, journal_file, misbehaving(fault, action), two()):
        session = await lab.session()
        await session.offer("h1", 1, "bad")
        await session.hear("ready", hold_id="h1")
        await session.release("h1", 2, "bad")
        line = await session.hear("progress", hold_id="h1")
        assert words in line.message
        assert line.message.startswith("not clean: ")
        await works(session, "g1", 1, "good")
        await session.hear("cleaned", hold_id="h1")


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_in_a_check_withdraws_that_resource(
    lab: ScriptedLab, journal_file: Path, name: str
) -> None:
    fault, words = FAULTS[name]
    times = [0]
    async with manager(lab.target, journal_file, misbehaving(fault, "check", times), two()):
        session = await lab.session()
        for _ in range(2):
            await session.hear("volunteer")
        times[0] = 1
        assert words in (await session.hear("withdraw", resource="bad")).reason
        await works(session, "g1", 1, "good")
        assert (await session.hear("volunteer")).spec.name == "bad"
        await works(session, "h1", 1, "bad")


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_in_describing_leaves_what_the_file_says(
    lab: ScriptedLab, journal_file: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    fault, words = FAULTS[name]
    async with manager(lab.target, journal_file, misbehaving(fault, "describe"), two()):
        session = await lab.session()
        await works(session, "h1", 1, "bad")
        assert words in caplog.text
