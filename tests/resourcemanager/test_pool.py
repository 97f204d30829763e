"""Warm pools: who gets what is ready, and that the pool always makes way."""

import contextlib
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hwprovisioner.resourcemanager import DriverError, Resource
from hwprovisioner.resourcemanager.errors import Later
from hwprovisioner.resourcemanager.holds import Phase
from hwprovisioner.resourcemanager.model import Care
from hwprovisioner.v1 import demand_pb2, resource_pb2
from support.eventually import eventually
from support.folder_maker import Workshop, holder_of, warm
from support.manager import Manager, manager
from support.scripted_lab import ScriptedLab, Session


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "made")


@contextlib.asynccontextmanager
async def running(
    lab: ScriptedLab, journal_file: Path, shop: Workshop, rack: Mapping[str, Resource]
) -> AsyncIterator[tuple[Manager, Session]]:
    async with manager(lab.target, journal_file, shop.load, rack) as run:
        session = await lab.session()
        await session.hear("volunteer")
        yield run, session


async def offer(session: Session, hold_id: str, fence: int, image: str = "", **more: Any) -> None:
    share = more.pop("share", resource_pb2.Share(cpus=1))
    demand = demand_pb2.HostDemand(cpus="1")
    if image:
        demand.provisioning.image = image
    await session.offer(hold_id, fence, "rack", share=share, demand=demand, **more)


def forget(journal_file: Path) -> None:
    journal_file.unlink()


async def ready(session: Session, hold_id: str) -> str:
    """Wait until a hold is ready, and return the name of what it has."""
    return str((await session.hear("ready", hold_id=hold_id)).connection.address)


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


# What cannot be had now.


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


# What an earlier life left.


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


# What cannot be destroyed.

TWICE = Care(clean_tries=2)


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
