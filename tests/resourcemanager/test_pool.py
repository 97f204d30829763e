"""Warm pools: who gets what is ready, and that the pool is filled again."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hwprovisioner.resourcemanager import DriverError
from hwprovisioner.resourcemanager.errors import Later
from hwprovisioner.resourcemanager.holds import Phase
from hwprovisioner.v1 import resource_pb2
from support.eventually import eventually
from support.folder_maker import Workshop, warm
from support.offering import offer, ready, running
from support.scripted_lab import ScriptedLab


async def test_a_hold_is_given_what_is_ready_and_the_pool_is_filled_again(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    async with running(lab, journal_file, shop, shop.rack(warm(2))) as (run, session):
        await eventually(lambda: len(shop.pooled()) == 2)
        before = shop.pooled()
        await offer(session, "h1", 1)
        assert await ready(session, "h1") in before
        assert "make h1" not in shop.calls
        assert run.journal.holds["h1"].hold.pooled in before
        await eventually(lambda: len(shop.pooled()) == 2)
        given = run.journal.holds["h1"].hold.instance
        await session.release("h1", 2, "rack")
        await session.hear("cleaned", hold_id="h1")
        assert given not in shop.there()


async def test_of_a_hundred_demands_none_waits_for_a_boot(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    rack = shop.rack(warm(2, 4), instances=6)
    async with running(lab, journal_file, shop, rack) as (run, session):
        given = []
        for at in range(100):
            await eventually(lambda: len(run.journal.pooled) > 0)
            hold_id = f"rack.{2 * at + 1}"
            await offer(session, hold_id, 2 * at + 1)
            given.append(await ready(session, hold_id))
            await session.release(hold_id, 2 * at + 2, "rack")
            await session.hear("cleaned", hold_id=hold_id)
        assert len(set(given)) == 100
        assert not [call for call in shop.calls if call.startswith("make ")]
        assert shop.most <= 6


async def test_what_the_pool_does_not_have_is_made(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    async with running(lab, journal_file, shop, shop.rack(warm(1))) as (_, session):
        await eventually(lambda: len(shop.pooled()) == 1)
        await offer(session, "h1", 1, image="large")
        assert await ready(session, "h1") == "h1"
        assert (shop.folder / "rack" / "h1" / "image").read_text() == "large"
        await offer(session, "h2", 2, share=resource_pb2.Share(cpus=2))
        assert await ready(session, "h2") == "h2"
        assert len(shop.pooled()) == 1


async def test_an_empty_pool_keeps_nobody_waiting(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    shop.gate("fill")
    async with running(lab, journal_file, shop, shop.rack(warm(1))) as (_, session):
        await eventually(lambda: [call for call in shop.calls if call.startswith("fill")])
        await offer(session, "h1", 1)
        assert await ready(session, "h1") == "h1"


@pytest.mark.parametrize("where", ["unwell", "hand over"])
async def test_an_instance_that_is_not_well_is_replaced_when_it_is_taken(
    lab: ScriptedLab, journal_file: Path, shop: Workshop, where: str
) -> None:
    rack = shop.rack(warm(2))
    rack["rack"] = replace(rack["rack"], check_every_s=3600.0)
    async with running(lab, journal_file, shop, rack) as (run, session):
        await eventually(lambda: len(run.journal.pooled) == 2)
        first = next(iter(run.journal.pooled))
        if where == "unwell":
            shop.unwell.add(first)
        else:
            shop.failures["hand over"] = [DriverError("it does not let anyone in")]
        await offer(session, "h1", 1)
        assert await ready(session, "h1") != first
        await eventually(lambda: first not in shop.there())
        assert run.journal.holds["h1"].hold.pooled != first


async def test_an_instance_that_is_not_well_is_replaced_while_it_waits(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    async with running(lab, journal_file, shop, shop.rack(warm(2))):
        await eventually(lambda: len(shop.pooled()) == 2)
        gone = next(iter(shop.pooled()))
        shutil.rmtree(shop.folder / "rack" / gone)
        await eventually(lambda: len(shop.pooled()) == 2)
        assert gone not in shop.pooled()


async def test_a_pool_that_cannot_be_filled_is_tried_again_and_leaves_nothing(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    shop.failures["fill"] = [DriverError("no image"), Later("quota"), None]
    async with running(lab, journal_file, shop, shop.rack(warm(1))) as (run, _):
        await eventually(lambda: len(run.journal.pooled) == 1)
        assert len([call for call in shop.calls if call.startswith("fill")]) == 3
        await eventually(lambda: len(shop.there()) == 1)


async def test_a_pool_that_still_cannot_be_filled_is_told_until_it_is(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    shop.failures["fill"] = [DriverError("no image")] * 4
    shop.gate("fill")
    async with running(lab, journal_file, shop, shop.rack(warm(1))) as (run, session):
        assert "volunteer" not in session.events()
        shop.gate("fill").set()
        told = await session.hear("volunteer")
        assert list(told.warnings) == ["the pool cannot be filled: make: no image"]
        assert not (await session.hear("volunteer")).warnings
        await eventually(lambda: len(run.journal.pooled) == 1)


async def test_as_many_are_kept_as_were_asked_for_lately(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    rack = shop.rack(warm(1, 3, idle_s=1.0), instances=9)
    async with running(lab, journal_file, shop, rack) as (_, session):
        await eventually(shop.pooled)
        for at in range(1, 5):
            await offer(session, f"h{at}", at)
            await ready(session, f"h{at}")
        await eventually(lambda: len(shop.pooled()) == 3)
        await eventually(lambda: len(shop.pooled()) == 1)


async def test_a_pool_may_be_empty_until_someone_asks(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    async with running(lab, journal_file, shop, shop.rack(warm(0, 2))) as (_, session):
        await offer(session, "h1", 1)
        assert await ready(session, "h1") == "h1"
        await eventually(lambda: len(shop.pooled()) == 1)


async def test_a_full_disk_gives_nothing_away(
    lab: ScriptedLab, journal_file: Path, shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(lab, journal_file, shop, shop.rack(warm(1))) as (run, session):
        await eventually(lambda: len(run.journal.pooled) == 1)
        put = type(run.journal).put

        def full(self: Any, held: Any) -> None:
            if getattr(getattr(held, "hold", None), "pooled", ""):
                raise OSError(28, "No space left on device")
            put(self, held)

        monkeypatch.setattr(type(run.journal), "put", full)
        await offer(session, "h1", 1)
        failed = await session.hear("failed", hold_id="h1")
        assert "No space left" in failed.reason
        assert run.journal.holds["h1"].phase is Phase.FAILED
        assert len(shop.pooled()) == 1
