"""Cleaning within limits, and facts that are found out."""

from dataclasses import replace
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import DriverError, Facts
from hwprovisioner.resourcemanager.holds import Phase
from hwprovisioner.resourcemanager.model import Care
from hwprovisioner.v1 import resource_pb2
from support.cared_for import HEALTHY, QUARANTINED, TWICE, dirty, settled
from support.eventually import eventually
from support.manager import Hardware, box, manager
from support.scripted_lab import ScriptedLab

# Cleaning.


async def test_what_cannot_be_cleaned_is_quarantined_with_the_reason_and_stays_dirty(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware(failures={"clean": [DriverError("the disk is locked")] * 2})
    async with manager(lab.target, journal_file, hardware, {"box": box(care=TWICE)}) as run:
        session = await lab.session()
        health = await dirty(session)
        assert health.health == QUARANTINED
        assert health.reason == "hold h1 is not clean: clean: the disk is locked; tried 2 times"
        assert run.journal.holds["h1"].phase is Phase.DIRTY
        await session.release("h1", 2)
        await settled(session)
        assert "cleaned" not in session.events()
        assert hardware.calls.count("clean h1") == 2
        await session.offer("h2", 3)
        assert "hold h1 still has it (dirty)" in (await session.hear("decline")).reason


async def test_cleaning_is_given_up_when_its_time_is_over(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware(failures={"clean": [DriverError("no")] * 100_000})
    care = Care(clean_tries=100_000, clean_within_s=0.1)
    async with manager(lab.target, journal_file, hardware, {"box": box(care=care)}):
        assert (await dirty(await lab.session())).health == QUARANTINED


async def test_what_was_given_up_is_not_tried_again_by_a_restart_and_is_told_again(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware(failures={"clean": [DriverError("no")] * 2})
    boxes = {"box": box(care=TWICE)}
    async with manager(lab.target, journal_file, hardware, boxes):
        await dirty(await lab.session())
    async with manager(lab.target, journal_file, hardware, boxes):
        session = await lab.session()
        [held] = session.register.holds
        assert held.state == resource_pb2.HOLD_STATE_CLEANING
        health = await session.hear("health", resource="box")
        assert (health.health, "hold h1 is not clean" in health.reason) == (QUARANTINED, True)
        await session.release("h1", 2)
        line = await session.hear("progress", hold_id="h1", fence=2)
        assert line.message == "not clean, and given up: clean: no; tried 2 times"
        assert hardware.calls.count("clean h1") == 2


async def test_what_was_given_up_is_cleaned_anew_once_it_was_looked_after(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware(failures={"clean": [DriverError("no")] * 3})
    async with manager(lab.target, journal_file, hardware, {"box": box(care=TWICE)}):
        session = await lab.session()
        await dirty(session)
        await session.look_after()
        await session.hear("cleaned", hold_id="h1", fence=2)
        assert (await session.hear("health", resource="box")).health == HEALTHY
        assert hardware.calls.count("clean h1") == 4
        await session.offer("h2", 3)
        await session.hear("ready", hold_id="h2")


async def test_what_cannot_be_cleaned_after_all_is_given_up_again(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware(failures={"clean": [DriverError("no")] * 4})
    async with manager(lab.target, journal_file, hardware, {"box": box(care=TWICE)}):
        session = await lab.session()
        await dirty(session)
        await session.look_after()
        assert (await session.hear("health", resource="box")).health == QUARANTINED
        assert "cleaned" not in session.events()


async def test_a_dirty_share_is_well_only_when_it_is_clean(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware(failures={"clean": [DriverError("no")] * 2})
    racks = {"box": box(instances=3, care=TWICE)}
    async with manager(lab.target, journal_file, hardware, racks):
        session = await lab.session()
        await dirty(session)
        hardware.gate("clean h1")
        await session.look_after()
        await eventually(lambda: "clean h1" in hardware.running)
        await settled(session)
        assert "health" not in session.events()
        hardware.gate("clean h1").set()
        assert (await session.hear("health", resource="box")).health == HEALTHY


async def test_what_was_mended_in_the_file_counts_once_it_is_looked_after(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware(failures={"clean": [DriverError("no")] * 2})
    async with manager(lab.target, journal_file, hardware, {"box": box(care=TWICE)}) as run:
        session = await lab.session()
        assert (await session.hear("volunteer")).spec.cpus == 4
        await dirty(session)
        run.agent.represent({"box": box(cpus=9)})
        await session.look_after()
        await session.hear("cleaned", hold_id="h1", fence=2)
        assert (await session.hear("health", resource="box")).health == HEALTHY
        assert (await session.hear("volunteer")).spec.cpus == 9


# What the file says, and what there is.


async def test_a_contradiction_is_told_once_and_names_both(
    lab: ScriptedLab, journal_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hardware = Hardware(facts=Facts(cpus=4))
    boxes = {
        "box": replace(box(cpus=8, care=Care(facts_every_s=0.01)), lines={"cpu": 12}),
    }
    said = "resources.yml says cpu: 8 (line 12), the machine has 4"
    async with manager(lab.target, journal_file, hardware, boxes):
        session = await lab.session()
        volunteer = await session.hear("volunteer")
        assert list(volunteer.warnings) == [said]
        assert volunteer.spec.cpus == 8
        checks = len(hardware.checks)
        await eventually(lambda: len(hardware.checks) > checks + 3)
        assert caplog.text.count(said) == 1
        assert "volunteer" not in session.events()
        hardware.facts = Facts(cpus=8)
        assert list((await session.hear("volunteer")).warnings) == []


async def test_facts_are_found_out_anew_now_and_then(lab: ScriptedLab, journal_file: Path) -> None:
    hardware = Hardware(facts=Facts(memory_bytes=1))
    boxes = {"box": box(care=Care(facts_every_s=0.01))}
    async with manager(lab.target, journal_file, hardware, boxes):
        session = await lab.session()
        assert (await session.hear("volunteer")).spec.memory_bytes == 1
        hardware.facts = Facts(memory_bytes=2)
        assert (await session.hear("volunteer")).spec.memory_bytes == 2
