"""What belongs to nobody is destroyed before anything is lent, or left to a person."""

from dataclasses import replace
from pathlib import Path

from hwprovisioner.resourcemanager import DriverError
from hwprovisioner.resourcemanager.model import Care
from hwprovisioner.v1 import resource_pb2
from support.cared_for import TWICE
from support.eventually import eventually
from support.folder_maker import Workshop, warm
from support.manager import manager
from support.offering import offer, ready, running
from support.scripted_lab import ScriptedLab


async def test_what_belongs_to_nobody_is_destroyed(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    (shop.folder / "rack" / "rack.99").mkdir(parents=True)
    shop.failures["existing"] = [DriverError("the engine is still starting")]
    async with running(lab, journal_file, shop, shop.rack()):
        await eventually(lambda: shop.there() == set())


async def test_what_may_be_another_managers_is_left_alone(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    stray = shop.folder / "rack" / "rack.99"
    stray.mkdir(parents=True)
    await lab.stop()
    async with manager(lab.target, journal_file, shop.load, shop.rack(warm(1))) as run:
        # It keeps its own pool meanwhile, without the word of a lab.
        await eventually(lambda: len(run.journal.pooled) == 1)
        assert "rack.99" in shop.there()
        await lab.start()
        await eventually(lambda: "rack.99" not in shop.there())


async def test_what_was_left_is_destroyed_after_a_change_of_the_file_too(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    async with running(lab, journal_file, shop, shop.rack()) as (run, _):
        await eventually(lambda: "existing " in shop.calls)
        (shop.folder / "rack" / "rack.99").mkdir(parents=True)
        run.agent.represent(shop.rack(note="made otherwise"))
        await eventually(lambda: shop.there() == set())


def forget(journal_file: Path) -> None:
    journal_file.unlink()


async def test_without_its_journal_nothing_that_may_have_been_used_is_handed_over(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    rack = shop.rack(warm(2))
    async with running(lab, journal_file, shop, rack) as (run, session):
        await eventually(lambda: len(run.journal.pooled) == 2)
        await offer(session, "h1", 1)
        await ready(session, "h1")
        await eventually(lambda: len(run.journal.pooled) == 2)
        before = shop.there()
    forget(journal_file)
    async with running(lab, journal_file, shop, rack) as (run, _):
        await eventually(lambda: len(run.journal.pooled) == 2 and len(shop.there()) == 2)
        assert before.isdisjoint(shop.there())


async def test_without_its_journal_a_hold_is_clean_once_nothing_is_left_that_is_nobodys(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    rack = shop.rack(warm(1))
    async with running(lab, journal_file, shop, rack) as (run, session):
        await eventually(lambda: len(run.journal.pooled) == 1)
        await offer(session, "h1", 1)
        given = await ready(session, "h1")
    forget(journal_file)
    shop.gate(f"destroy {given}")
    async with manager(lab.target, journal_file, shop.load, rack):
        session = await lab.session()
        assert not session.register.holds
        await session.release("h1", 2, "rack")
        line = await session.hear("progress", hold_id="h1")
        assert line.message == "there is no record of what it had, so it is looked for"
        await eventually(lambda: f"destroy {given}" in shop.calls)
        await offer(session, "h2", 3)
        refusal = (await session.hear("decline", hold_id="h2")).reason
        assert "what belongs to nobody is destroyed: " in refusal
        assert given in refusal
        assert not {"cleaned", "volunteer"}.intersection(session.events())
        shop.gate(f"destroy {given}").set()
        await session.hear("cleaned", hold_id="h1", fence=2)
        await session.hear("volunteer")
        assert given not in shop.there()


async def test_what_there_is_must_be_known_before_anything_is_lent(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    shop.gate("existing")
    async with manager(lab.target, journal_file, shop.load, shop.rack()):
        session = await lab.session()
        withdraw = await session.hear("withdraw", resource="rack")
        assert withdraw.reason == "what is left of earlier holds is not known yet"
        shop.failures["existing"] = [DriverError("the engine is still starting")]
        (shop.folder / "rack" / "rack.99").mkdir(parents=True)
        shop.gate("destroy")
        shop.gate("existing").set()
        for words in ("not known: existing: the engine is still starting", "destroyed: rack.99"):
            assert words in (await session.hear("withdraw", resource="rack")).reason
        assert "volunteer" not in session.events()
        shop.gate("destroy").set()
        await session.hear("volunteer")


async def test_what_cannot_be_destroyed_is_left_to_a_person_and_tried_again_when_they_say_so(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    rack = {"rack": replace(shop.rack()["rack"], care=TWICE)}
    (shop.folder / "rack" / "rack.99").mkdir(parents=True)
    shop.failures["destroy"] = [DriverError("the disk is busy")] * 3
    async with manager(lab.target, journal_file, shop.load, rack):
        session = await lab.session()
        health = await session.hear("health", resource="rack")
        assert health.health == resource_pb2.HEALTH_QUARANTINED
        assert health.reason == (
            "instance rack.99 is left: destroy: the disk is busy; tried 2 times;"
            " it may have to be removed by hand"
        )
        assert shop.calls.count("destroy rack.99") == 2
        shop.gate("destroy rack.99")
        await session.look_after("rack")
        await eventually(lambda: shop.calls.count("destroy rack.99") == 3)
        assert not {"volunteer", "health"}.intersection(session.events())
        shop.gate("destroy rack.99").set()
        health = await session.hear("health", resource="rack")
        assert health.health == resource_pb2.HEALTH_HEALTHY
        await session.hear("volunteer")
        assert shop.calls.count("destroy rack.99") == 4
        assert not shop.there()


async def test_what_cannot_be_destroyed_in_time_is_left_to_a_person(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    care = Care(clean_tries=100_000, clean_within_s=0.1)
    rack = {"rack": replace(shop.rack()["rack"], care=care)}
    (shop.folder / "rack" / "rack.99").mkdir(parents=True)
    shop.failures["destroy"] = [DriverError("the disk is busy")] * 100_000
    async with manager(lab.target, journal_file, shop.load, rack):
        session = await lab.session()
        health = await session.hear("health", resource="rack")
        assert health.health == resource_pb2.HEALTH_QUARANTINED
