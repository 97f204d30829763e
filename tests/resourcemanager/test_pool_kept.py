"""What the pool and its holds have outlasts a restart, unless it was made otherwise."""

from pathlib import Path

import pytest

from support.eventually import eventually
from support.folder_maker import Workshop, holder_of, warm
from support.manager import manager
from support.offering import offer, ready, running
from support.scripted_lab import ScriptedLab


async def test_what_is_ready_is_kept_over_a_restart(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    rack = shop.rack(warm(2))
    async with running(lab, journal_file, shop, rack) as (run, _):
        await eventually(lambda: len(run.journal.pooled) == 2)
        before = shop.pooled()
    shop.calls.clear()
    async with running(lab, journal_file, shop, rack) as (_, session):
        await offer(session, "h1", 1)
        assert await ready(session, "h1") in before
        assert not [call for call in shop.calls if call.startswith("make")]


async def test_what_many_asked_for_is_kept_for_its_idle_time_over_a_restart_too(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    rack = shop.rack(warm(1, 3), instances=9)
    async with running(lab, journal_file, shop, rack) as (run, session):
        for at in range(1, 4):
            await offer(session, f"h{at}", at)
            await ready(session, f"h{at}")
        await eventually(lambda: len(run.journal.pooled) == 3)
        before = set(run.journal.pooled)
    async with running(lab, journal_file, shop, rack) as (run, session):
        await offer(session, "h4", 4)
        assert await ready(session, "h4") in before
        await eventually(lambda: shop.calls.count("existing ") > 1)
        assert len(run.journal.pooled) == 2


async def test_what_a_hold_has_is_its_own_over_a_restart(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    rack = shop.rack(warm(1))
    async with running(lab, journal_file, shop, rack) as (run, session):
        await eventually(lambda: len(run.journal.pooled) == 1)
        await offer(session, "h1", 1)
        given = await ready(session, "h1")
    async with running(lab, journal_file, shop, rack) as (run, session):
        assert await ready(session, "h1") == given
        await offer(session, "h2", 2)
        assert await ready(session, "h2") != given
        await session.release("h1", 3, "rack")
        await session.hear("cleaned", hold_id="h1")
        assert given not in shop.there()


async def test_readying_up_goes_on_with_the_instance_that_was_given(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    rack = shop.rack(warm(1))
    async with running(lab, journal_file, shop, rack) as (run, session):
        await eventually(lambda: len(run.journal.pooled) == 1)
        shop.gate("hand over")
        await offer(session, "h1", 1)
        await eventually(lambda: "h1" in run.journal.holds and run.journal.holds["h1"].hold.pooled)
        given = run.journal.holds["h1"].hold.pooled
    del shop.gates["hand over"]
    async with running(lab, journal_file, shop, rack) as (_, session):
        assert await ready(session, "h1") == given
        assert holder_of(shop.folder / "rack" / given) == ["h1"]


async def test_what_was_made_otherwise_is_not_handed_over_any_more(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    async with running(lab, journal_file, shop, shop.rack(warm(2))) as (run, _):
        await eventually(lambda: len(run.journal.pooled) == 2)
        before = shop.there()
    changed = shop.rack(warm(2), note="made otherwise")
    async with running(lab, journal_file, shop, changed) as (run, _):
        await eventually(lambda: len(run.journal.pooled) == 2 and len(shop.there()) == 2)
        assert before.isdisjoint(shop.there())


async def test_a_changed_entry_has_its_pool_made_anew(
    lab: ScriptedLab, journal_file: Path, shop: Workshop
) -> None:
    async with running(lab, journal_file, shop, shop.rack(warm(2))) as (run, _):
        await eventually(lambda: len(run.journal.pooled) == 2)
        before = shop.there()
        run.agent.represent(shop.rack(warm(1), note="made otherwise"))
        await eventually(lambda: len(shop.pooled()) == 1 and len(shop.there()) == 1)
        assert before.isdisjoint(shop.there())
        run.agent.represent({})
        await eventually(lambda: shop.there() == set())
        assert dict(run.journal.pooled) == {}


async def test_what_is_left_of_an_entry_that_is_gone_is_named(
    lab: ScriptedLab, journal_file: Path, shop: Workshop, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(lab, journal_file, shop, shop.rack(warm(1))) as (run, _):
        await eventually(lambda: len(run.journal.pooled) == 1)
    async with manager(lab.target, journal_file, shop.load, {}):
        await lab.session()
    assert "instances of rack are left" in caplog.text
