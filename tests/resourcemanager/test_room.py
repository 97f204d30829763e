"""Room for holds: the pool always makes way, and what cannot be had now is waited for."""

from dataclasses import replace
from pathlib import Path

from hwprovisioner.resourcemanager import DriverError
from hwprovisioner.resourcemanager.errors import Later
from hwprovisioner.v1 import resource_pb2
from support.cared_for import TWICE
from support.eventually import eventually
from support.folder_maker import Workshop, warm
from support.offering import offer, ready, running
from support.scripted_lab import ScriptedLab


async def test_a_pool_is_filled_again_as_soon_as_a_hold_has_left_room_for_it(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    rack = shop.rack(warm(1), instances=2)["rack"]
    # Nothing but the hold's end tells that there is room: no check looks in between.
    rack = replace(rack, check_every_s=3600.0)
    async with running(lab, journal_file, shop, {"rack": rack}) as (_, session):
        for at in (1, 2):
            await eventually(lambda: len(shop.pooled()) == 1)
            await offer(session, f"h{at}", at)
            await ready(session, f"h{at}")
        assert not shop.pooled()
        await session.release("h1", 3, "rack")
        await eventually(lambda: len(shop.pooled()) == 1)


async def test_a_hold_gets_the_room_of_an_idle_instance(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    async with running(lab, journal_file, shop, shop.rack(warm(3), instances=3)) as (_, session):
        await eventually(lambda: len(shop.pooled()) == 3)
        for at in (1, 2, 3):
            await offer(session, f"h{at}", at, image="large")
            assert await ready(session, f"h{at}") == f"h{at}"
        assert shop.there() == {"h1", "h2", "h3"}
        assert shop.most <= 3


async def test_processors_are_room_too(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    rack = shop.rack(warm(2, cpus=2), instances=9, cpus=5)
    async with running(lab, journal_file, shop, rack) as (_, session):
        await eventually(lambda: len(shop.pooled()) == 2)
        await offer(session, "h1", 1, share=resource_pb2.Share(cpus=3))
        assert await ready(session, "h1") == "h1"
        assert len(shop.pooled()) == 1


async def test_what_is_being_made_for_the_pool_makes_way(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    shop.gate("fill")
    async with running(lab, journal_file, shop, shop.rack(warm(1), instances=1)) as (_, session):
        await eventually(shop.there)
        await offer(session, "h1", 1)
        assert await ready(session, "h1") == "h1"
        assert shop.there() == {"h1"}
        assert shop.most == 1


async def test_room_that_cannot_be_made_in_time_fails_the_hold(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    rack = shop.rack(warm(1), instances=1, limit_s=0.3)
    async with running(lab, journal_file, shop, rack) as (_, session):
        await eventually(shop.pooled)
        shop.gate("destroy")
        await offer(session, "h1", 1, image="large")
        failed = await session.hear("failed", hold_id="h1")
        assert "what has to go before there is room" in failed.reason
        shop.gate("destroy").set()


async def test_a_quota_that_is_used_up_is_no_failure(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    shop.failures["make"] = [Later("8 of 8 instances are used")] * 3
    async with running(lab, journal_file, shop, shop.rack()) as (_, session):
        await offer(session, "h1", 1)
        line = await session.hear("progress", hold_id="h1")
        assert line.message.startswith("prepare: 8 of 8 instances are used; try 2 in ")
        await ready(session, "h1")
        assert shop.calls.count("make h1") == 4


async def test_a_quota_that_stays_used_up_fails_within_the_limit(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    shop.failures["make"] = [Later("8 of 8 are used")] * 10_000
    async with running(lab, journal_file, shop, shop.rack(limit_s=0.2)) as (_, session):
        await offer(session, "h1", 1)
        failed = await session.hear("failed", hold_id="h1")
        assert "8 of 8 are used; tried" in failed.reason
        assert "within 0.2 s" in failed.reason


async def test_a_quota_that_is_used_up_is_given_what_the_pool_has(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    async with running(lab, journal_file, shop, shop.rack(warm(1))) as (_, session):
        await eventually(shop.pooled)
        idle = next(iter(shop.pooled()))
        shop.failures["make"] = [Later("quota")]
        await offer(session, "h1", 1, image="large")
        await ready(session, "h1")
        assert f"destroy {idle}" in shop.calls


async def test_what_is_left_of_the_pool_takes_up_room_and_fails_who_needs_it(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    rack = {"rack": replace(shop.rack(warm(1), instances=1)["rack"], care=TWICE)}
    async with running(lab, journal_file, shop, rack) as (run, session):
        await eventually(lambda: len(run.journal.pooled) == 1)
        [left] = run.journal.pooled
        shop.failures["destroy"] = [DriverError("the disk is busy")] * 2
        await offer(session, "h1", 1, image="large")
        failed = await session.hear("failed", hold_id="h1")
        assert failed.reason == "there is no room: what cannot be destroyed is in the way"
        health = await session.hear("health", resource="rack")
        assert f"instance {left} is left" in health.reason
        await session.release("h1", 2, "rack")
        await session.hear("cleaned", hold_id="h1")
        await session.look_after("rack")
        await session.hear("health", resource="rack", health=resource_pb2.HEALTH_HEALTHY)
        await offer(session, "h2", 3, image="large")
        assert await ready(session, "h2") == "h2"
