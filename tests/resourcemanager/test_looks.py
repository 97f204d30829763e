"""What is given up, suspected or doubted: when it is looked after, told, and lent again."""

from dataclasses import replace
from pathlib import Path

import grpc

from hwprovisioner.resourcemanager import DriverError
from hwprovisioner.resourcemanager.holds import Phase
from support.cared_for import HEALTHY, QUARANTINED, TWICE, Checked, dirty, settled
from support.eventually import eventually
from support.manager import Hardware, box, manager
from support.scripted_lab import ScriptedLab

# What is given up.


async def test_a_verdict_that_nobody_heard_is_told_once_there_is_a_lab(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware(failures={"clean": [DriverError("no")] * 2})
    hardware.gate("clean")
    async with manager(lab.target, journal_file, hardware, {"box": box(care=TWICE)}) as run:
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready", hold_id="h1")
        await session.release("h1", 2)
        await eventually(lambda: hardware.running)
        await lab.stop()
        hardware.gate("clean").set()
        await eventually(lambda: run.journal.holds["h1"].phase is Phase.DIRTY)
        await lab.start()
        session = await lab.session()
        assert (await session.hear("health", resource="box")).health == QUARANTINED


async def test_a_verdict_is_told_on_every_stream_until_it_is_looked_after(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware(failures={"clean": [DriverError("no")] * 2})
    async with manager(lab.target, journal_file, hardware, {"box": box(care=TWICE)}):
        session = await lab.session()
        # The stream may have ended under it: there is no knowing.
        health = await dirty(session)
        for _ in range(2):
            session.end(grpc.StatusCode.UNAVAILABLE)
            session = await lab.session()
            again = await session.hear("health", resource="box")
            assert again == health
        await session.look_after(look=1)
        health = await session.hear("health", resource="box")
        assert (health.health, health.look) == (HEALTHY, 1)
        session.end(grpc.StatusCode.UNAVAILABLE)
        session = await lab.session()
        await settled(session)
        assert "health" not in session.events()


async def test_a_look_that_was_answered_is_answered_again_and_the_next_one_begins_anew(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware(failures={"clean": [DriverError("no")] * 4})
    boxes = {"box": box(care=TWICE)}
    async with manager(lab.target, journal_file, hardware, boxes):
        session = await lab.session()
        assert (await dirty(session)).look == 0
        await session.look_after(look=1)
        assert (await session.hear("health", resource="box")).look == 1
    async with manager(lab.target, journal_file, hardware, boxes):
        session = await lab.session()
        for _ in range(2):
            health = await session.hear("health", resource="box")
            assert (health.health, health.look) == (QUARANTINED, 1)
            await session.look_after(look=1)
        assert hardware.calls.count("clean h1") == 4
        # A person has lifted it meanwhile, and need not do so twice.
        await session.look_after(look=2)
        await session.hear("cleaned", hold_id="h1", fence=2)
        await session.hear("health", resource="box", health=HEALTHY, look=2)


# What is suspected.


async def test_a_suspect_is_checked_at_once(lab: ScriptedLab, journal_file: Path) -> None:
    hardware = Hardware()
    boxes = {"box": replace(box(), check_every_s=3600.0)}
    async with manager(lab.target, journal_file, hardware, boxes):
        session = await lab.session()
        await session.look_after()
        assert (await session.hear("health", resource="box")).health == HEALTHY
        hardware.trouble["box"] = "the disk is full"
        await session.look_after(look=2)
        health = await session.hear("health", resource="box")
        assert (health.health, health.reason) == (QUARANTINED, "the disk is full")


async def test_a_check_that_began_before_the_newest_look_does_not_answer_it(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Checked()
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        turns = await hardware.hold_checks()
        await session.look_after(look=1)
        await settled(session)
        turns.release()
        await hardware.next_check()
        await session.look_after(look=2)
        await settled(session)
        turns.release()
        await hardware.next_check()
        await settled(session)
        assert "health" not in session.events()
        turns.release()
        health = await session.hear("health", resource="box")
        assert (health.health, health.look) == (HEALTHY, 2)


async def test_a_suspect_is_well_once_what_was_being_cleaned_is_clean(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    racks = {"box": replace(box(instances=3), check_every_s=3600.0)}
    async with manager(lab.target, journal_file, hardware, racks):
        session = await lab.session()
        for at, hold_id in enumerate(("h1", "h2"), 1):
            await session.offer(hold_id, at)
            await session.hear("ready", hold_id=hold_id)
        hardware.gate("clean h1")
        await session.release("h1", 3)
        await eventually(lambda: "clean h1" in hardware.running)
        checks = len(hardware.checks)
        await session.look_after()
        await eventually(lambda: len(hardware.checks) > checks)
        await settled(session)
        assert "health" not in session.events()
        hardware.gate("clean h1").set()
        # It is well though others use it, and no check is due for an hour.
        assert (await session.hear("health", resource="box")).health == HEALTHY


# What a hold has failed on.


async def test_what_a_hold_failed_on_is_not_lent_before_it_was_checked(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Checked(failures={"prepare": [DriverError("smoke")]})
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("failed", hold_id="h1")
        # This check begins before it is clean, so it says nothing.
        turns = await hardware.hold_checks()
        session.heard.clear()
        await session.release("h1", 2)
        await session.hear("cleaned", hold_id="h1")
        # The lab heard that first, so it lends nothing in between.
        why = "it is to be checked after hold h1: prepare: smoke"
        assert session.heard[0].withdraw.reason == why
        turns.release()
        await hardware.next_check()
        await session.offer("h2", 3)
        assert (await session.hear("decline", hold_id="h2")).reason == why
        assert "volunteer" not in session.events()
        turns.release()
        await session.hear("volunteer")
        await session.offer("h3", 4)
        await session.hear("ready", hold_id="h3")


async def test_what_nothing_speaks_against_is_lent_at_once(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Checked()
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready", hold_id="h1")
        await hardware.hold_checks()
        await session.release("h1", 2)
        await session.hear("cleaned", hold_id="h1")
        await session.offer("h2", 3)
        await session.hear("ready", hold_id="h2")
        assert "withdraw" not in session.events()


async def test_what_others_have_shares_of_is_lent_though_a_hold_failed(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Checked(failures={"prepare": [DriverError("smoke")]})
    async with manager(lab.target, journal_file, hardware, {"box": box(instances=2)}):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("failed", hold_id="h1")
        await hardware.hold_checks()
        await session.release("h1", 2)
        await session.hear("cleaned", hold_id="h1")
        await session.offer("h2", 3)
        await session.hear("ready", hold_id="h2")
        assert "withdraw" not in session.events()


async def test_what_is_not_represented_here_cannot_be_looked_after(
    lab: ScriptedLab, journal_file: Path
) -> None:
    async with manager(lab.target, journal_file, Hardware()):
        session = await lab.session()
        await session.look_after("elsewhere")
        assert (await session.hear("withdraw", resource="elsewhere")).removed
