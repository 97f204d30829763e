"""What a manager does with what an earlier life left in the journal."""

from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import Connection, Hold
from hwprovisioner.resourcemanager.holds import Held, Phase
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.v1 import resource_pb2
from support.eventually import eventually
from support.manager import Hardware, box, manager
from support.scripted_lab import ScriptedLab


def left_behind(journal_file: Path, *held: Held) -> None:
    journal = Journal.open(journal_file)
    for one in held:
        journal.put(one)
    journal.close()


async def test_after_a_crash_readying_up_is_done_anew_once_registered(
    lab: ScriptedLab, journal_file: Path
) -> None:
    left_behind(journal_file, Held(Hold("h1", "box", 4)))
    async with manager(lab.target, journal_file, Hardware()):
        session = await lab.session()
        [held] = session.register.holds
        assert (held.hold.hold_id, held.hold.fence) == ("h1", 4)
        assert held.state == resource_pb2.HOLD_STATE_PREPARING
        await session.hear("accept", hold_id="h1", fence=4)
        await session.hear("ready", hold_id="h1", fence=4)


async def test_after_a_crash_what_was_ready_is_ready_still(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    left_behind(journal_file, Held(Hold("h1", "box", 4), Phase.READY, Connection("as before")))
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        assert session.register.holds[0].state == resource_pb2.HOLD_STATE_READY
        ready = await session.hear("ready", hold_id="h1", fence=4)
        assert ready.connection.protocol == "as before"
        assert hardware.calls == []


async def test_after_a_crash_a_failure_is_told_again(lab: ScriptedLab, journal_file: Path) -> None:
    left_behind(journal_file, Held(Hold("h1", "box", 4), Phase.FAILED, reason="broken"))
    async with manager(lab.target, journal_file, Hardware()):
        session = await lab.session()
        assert (await session.hear("failed", hold_id="h1")).reason == "broken"


async def test_after_a_crash_cleaning_goes_on_even_without_a_lab(journal_file: Path) -> None:
    hardware = Hardware()
    left_behind(journal_file, Held(Hold("h1", "box", 4), Phase.CLEANING))
    async with manager("127.0.0.1:1", journal_file, hardware) as run:
        await eventually(lambda: run.journal.holds["h1"].phase is Phase.CLEANED)
        assert hardware.calls == ["tear_down h1", "clean h1"]


async def test_a_hold_on_what_is_no_longer_in_the_file_is_cleaned_once_it_is_back(
    lab: ScriptedLab, journal_file: Path
) -> None:
    left_behind(journal_file, Held(Hold("h1", "gone", 4), Phase.READY, Connection("local")))
    async with manager(lab.target, journal_file, Hardware()) as run:
        session = await lab.session()
        await session.release("h1", 5, "gone")
        line = await session.hear("progress", hold_id="h1")
        assert "not in its manager's resources file" in line.message
        run.agent.represent({"gone": box("gone")})
        await session.hear("cleaned", hold_id="h1", fence=5)


async def test_a_journal_that_cannot_be_written_declines(
    lab: ScriptedLab, journal_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Journal, held: Held) -> None:
        raise OSError(28, "No space left on device")

    async with manager(lab.target, journal_file, Hardware()):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready")
        monkeypatch.setattr(Journal, "put", full)
        await session.release("h1", 2)
        await session.hear("cleaned", hold_id="h1", fence=2)
        await session.offer("h2", 3)
        assert "No space left" in (await session.hear("decline", hold_id="h2")).reason
