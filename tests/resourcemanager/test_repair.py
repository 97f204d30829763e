"""Repair within limits, and never under a holder."""

import asyncio
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import DriverError
from hwprovisioner.resourcemanager.model import Care
from support.cared_for import HEALTHY, QUARANTINED, TWICE, Mendable, settled
from support.eventually import eventually
from support.manager import Hardware, box, manager
from support.scripted_lab import ScriptedLab


async def test_what_is_not_well_is_repaired_and_lent_again(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Mendable(DriverError("the relay is stuck"), None)
    async with manager(lab.target, journal_file, hardware, {"box": box(care=TWICE)}):
        session = await lab.session()
        await session.hear("volunteer")
        hardware.trouble["box"] = "no answer"
        assert (await session.hear("withdraw")).reason == "no answer (repair 1 of 2)"
        assert (await session.hear("withdraw")).reason == "no answer (repair 2 of 2)"
        await session.hear("volunteer")
        assert hardware.repairs == ["no answer"] * 2
        assert "health" not in session.events()


async def test_what_cannot_be_repaired_is_quarantined_until_it_is_looked_after(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Mendable()
    async with manager(lab.target, journal_file, hardware, {"box": box(care=TWICE)}):
        session = await lab.session()
        hardware.trouble["box"] = "no answer"
        health = await session.hear("health", resource="box")
        assert health.health == QUARANTINED
        assert health.reason == "no answer; 2 repairs did not help"
        checks = len(hardware.checks)
        await eventually(lambda: len(hardware.checks) > checks + 2)
        assert len(hardware.repairs) == 2
        hardware.results = [DriverError("the relay is stuck")] * 2
        await session.look_after()
        health = await session.hear("health", resource="box")
        assert health.reason == "no answer; repair: the relay is stuck"
        hardware.results = [None]
        await session.look_after(look=2)
        assert (await session.hear("health", resource="box")).health == HEALTHY


async def test_what_was_tried_before_it_was_asked_for_is_no_answer(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Mendable(OSError(), None)
    hardware.gate_of_repair = asyncio.Event()
    boxes = {"box": box(care=Care(repair_tries=1))}
    async with manager(lab.target, journal_file, hardware, boxes):
        session = await lab.session()
        hardware.trouble["box"] = "no answer"
        await eventually(lambda: hardware.repairs)
        await session.look_after(look=1)
        await settled(session)
        hardware.gate_of_repair.set()
        health = await session.hear("health", resource="box")
        assert (health.health, health.look, len(hardware.repairs)) == (HEALTHY, 1, 2)


async def test_nothing_is_repaired_under_a_holder(lab: ScriptedLab, journal_file: Path) -> None:
    hardware = Mendable(None)
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready", hold_id="h1")
        hardware.trouble["box"] = "too hot"
        assert (await session.hear("withdraw")).reason == "too hot"
        await session.look_after()
        checks = len(hardware.checks)
        await eventually(lambda: len(hardware.checks) > checks + 2)
        assert (hardware.repairs, "health" in session.events()) == ([], False)
        await session.release("h1", 2)
        assert (await session.hear("health", resource="box")).health == HEALTHY
        assert hardware.repairs == ["too hot"]


async def test_what_is_repaired_is_not_lent(lab: ScriptedLab, journal_file: Path) -> None:
    hardware = Mendable(None)
    hardware.gate_of_repair = asyncio.Event()
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        hardware.trouble["box"] = "no answer"
        await eventually(lambda: hardware.repairs)
        await session.offer("h1", 1)
        assert "repair 1 of 2" in (await session.hear("decline", hold_id="h1")).reason
        hardware.gate_of_repair.set()
        await eventually(lambda: not hardware.trouble)


async def test_what_cannot_be_cleaned_for_it_is_not_well_is_repaired_first(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Mendable(DriverError("the relay is stuck"), None)
    hardware.failures["clean"] = [DriverError("no answer")] * 3
    care = Care(clean_tries=4, repair_tries=2)
    async with manager(lab.target, journal_file, hardware, {"box": box(care=care)}):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready", hold_id="h1")
        hardware.trouble["box"] = "no answer"
        await session.release("h1", 2)
        await session.hear("cleaned", hold_id="h1")
        # Repaired as often as it may be; cleaned as often as it takes.
        assert hardware.repairs == ["no answer"] * 2
        assert hardware.calls.count("clean h1") == 4
        assert "health" not in session.events()


@pytest.mark.parametrize("instances", [0, 2])
async def test_what_is_well_or_shared_is_not_repaired_to_be_cleaned(
    lab: ScriptedLab, journal_file: Path, instances: int
) -> None:
    hardware = Mendable(None)
    hardware.failures["clean"] = [DriverError("the disk is locked")]
    boxes = {"box": box(instances=instances, care=TWICE)}
    async with manager(lab.target, journal_file, hardware, boxes):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready", hold_id="h1")
        if instances:
            await session.offer("h2", 2)
            await session.hear("ready", hold_id="h2")
            hardware.trouble["box"] = "no answer"
        await session.release("h1", 3)
        await session.hear("cleaned", hold_id="h1")
        assert hardware.repairs == []


@pytest.mark.parametrize("care", [Care(repair_tries=0), Care()])
async def test_without_a_repair_it_is_withdrawn_until_it_is_well_by_itself(
    lab: ScriptedLab, journal_file: Path, care: Care
) -> None:
    hardware = Mendable() if care.repair_tries == 0 else Hardware()
    async with manager(lab.target, journal_file, hardware, {"box": box(care=care)}):
        session = await lab.session()
        await session.hear("volunteer")
        hardware.trouble["box"] = "no answer"
        await session.hear("withdraw")
        hardware.trouble.clear()
        await session.hear("volunteer")
        assert "health" not in session.events()
