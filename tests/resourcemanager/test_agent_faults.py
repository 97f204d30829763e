"""The manager's side of the conversation, when driver or lab do what they should not."""

import asyncio
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import Connection, DriverError
from hwprovisioner.v1 import manager_stream_pb2
from support.cared_for import settled
from support.eventually import eventually
from support.manager import Hardware, box, manager
from support.scripted_lab import ScriptedLab


async def test_a_driver_that_fails_says_why_and_is_cleaned_after(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware(failures={"prepare": [DriverError("the relay is stuck")]})
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        await session.offer("h1", 1)
        failed = await session.hear("failed", hold_id="h1", fence=1)
        assert failed.reason == "prepare: the relay is stuck"
        await session.release("h1", 2)
        await session.hear("cleaned", hold_id="h1", fence=2)


@pytest.mark.parametrize(
    ("failure", "answer", "words"),
    [
        (ZeroDivisionError("oops"), None, "prepare: ZeroDivisionError: oops"),
        (None, "nonsense", "prepare: the driver returned str, not Connection"),
        (asyncio.CancelledError(), None, "prepare: the driver gave itself up"),
    ],
)
async def test_a_driver_with_a_bug_fails_its_own_hold_only(
    lab: ScriptedLab,
    journal_file: Path,
    failure: Exception | None,
    answer: object,
    words: str,
) -> None:
    hardware = Hardware()
    if failure is not None:
        hardware.failures = {"prepare": [failure]}
    else:
        hardware.answer = answer
    boxes = {"box": box(), "other": box("other")}
    async with manager(lab.target, journal_file, hardware, boxes):
        session = await lab.session()
        await session.offer("h1", 1)
        assert (await session.hear("failed", hold_id="h1")).reason == words
        hardware.answer = Connection("fake")
        await session.offer("h2", 1, "other")
        await session.hear("ready", hold_id="h2")


async def test_a_driver_that_hangs_is_stopped_at_its_time_limit(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    hardware.gate("prepare")
    async with manager(lab.target, journal_file, hardware, {"box": box(limit_s=0.05)}):
        session = await lab.session()
        await session.offer("h1", 1)
        failed = await session.hear("failed", hold_id="h1")
        assert failed.reason == "prepare: not done within 0.05 s"
        assert hardware.running == set()


async def test_cleaning_is_tried_until_it_works(lab: ScriptedLab, journal_file: Path) -> None:
    hardware = Hardware(
        failures={
            "tear_down": [DriverError("busy")],
            "clean": [DriverError("dirty"), OSError("no")],
        }
    )
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready")
        await session.release("h1", 2)
        line = await session.hear("progress", hold_id="h1", fence=2)
        assert "tear down: busy; try 2" in line.message
        await session.hear("cleaned", hold_id="h1", fence=2)
        assert hardware.calls.count("tear_down h1") == 4
        assert hardware.calls.count("clean h1") == 3


async def test_a_slow_resource_delays_no_other(lab: ScriptedLab, journal_file: Path) -> None:
    hardware = Hardware()
    hardware.gate("prepare slow")
    hardware.gate("clean slow")
    boxes = {"box": box(), "other": box("other")}
    async with manager(lab.target, journal_file, hardware, boxes):
        session = await lab.session()
        await session.offer("slow", 1)
        await eventually(lambda: "prepare slow" in hardware.running)
        await session.offer("quick", 1, "other")
        await session.hear("ready", hold_id="quick")
        await session.release("slow", 2)
        await eventually(lambda: "clean slow" in hardware.running)
        await session.release("quick", 2, "other")
        await session.hear("cleaned", hold_id="quick")
        await settled(session)


@pytest.mark.parametrize(
    ("resource", "fence", "reason"),
    [
        ("nowhere", 9, "not represented here"),
        ("box", 9, "hold h1 still has it"),
        ("box", 1, "stale"),
    ],
)
async def test_an_offer_that_cannot_be_is_declined_with_the_reason(
    lab: ScriptedLab, journal_file: Path, resource: str, fence: int, reason: str
) -> None:
    async with manager(lab.target, journal_file, Hardware()) as run:
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready")
        await session.offer("h2", fence, resource)
        decline = await session.hear("decline", hold_id="h2", fence=fence)
        assert reason in decline.reason
        assert "h2" not in run.journal.holds


async def test_a_release_of_a_hold_that_nobody_knows_is_cleaned_all_the_same(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        await session.release("lost", 7)
        await session.hear("cleaned", hold_id="lost", fence=7)
        assert hardware.calls == ["tear_down lost", "clean lost"]
        assert "it is to be checked" in (await session.hear("withdraw", resource="box")).reason


async def test_a_release_of_a_hold_that_never_got_here_keeps_nobody_waiting(
    lab: ScriptedLab, journal_file: Path
) -> None:
    async with manager(lab.target, journal_file, Hardware()):
        session = await lab.session()
        await session.release("unheard", 7, begun=False)
        await session.hear("cleaned", hold_id="unheard", fence=7)
        await session.offer("h1", 8)
        await session.hear("ready", hold_id="h1")
        assert "withdraw" not in session.events()


async def test_what_was_declined_is_not_cleaned_under_the_feet_of_who_has_it(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready")
        await session.offer("h2", 2)
        assert "hold h1 still has it" in (await session.hear("decline", hold_id="h2")).reason
        await session.release("h2", 3, begun=False)
        await session.hear("cleaned", hold_id="h2", fence=3)
        await session.release("h1", 4)
        await session.hear("cleaned", hold_id="h1", fence=4)
        assert hardware.calls == ["prepare h1", "tear_down h1", "clean h1"]


async def test_what_the_lab_does_not_know_is_cleaned_and_forgotten(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    async with manager(lab.target, journal_file, hardware) as run:
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready")
        await session.refuse("NO_SUCH_HOLD", "h1")
        await session.hear("cleaned", hold_id="h1")
        await session.refuse("NO_SUCH_HOLD", "h1")
        await eventually(lambda: "h1" not in run.journal.holds)
        assert hardware.calls == ["prepare h1", "tear_down h1", "clean h1"]


async def test_a_resource_that_is_not_well_is_withdrawn_until_it_is(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        await session.hear("volunteer")
        hardware.trouble["box"] = "too hot"
        assert (await session.hear("withdraw", resource="box")).reason == "too hot"
        await session.offer("h1", 1)
        assert (await session.hear("decline")).reason == "too hot"
        del hardware.trouble["box"]
        await session.hear("volunteer")


async def test_rubbish_from_the_lab_changes_nothing(lab: ScriptedLab, journal_file: Path) -> None:
    async with manager(lab.target, journal_file, Hardware()) as run:
        session = await lab.session()
        await session.say()
        await session.say(offer=manager_stream_pb2.Offer())
        await session.say(release=manager_stream_pb2.Release())
        await session.say(refused=manager_stream_pb2.Refused(reason="NO_SUCH_HOLD"))
        await settled(session)
        assert dict(run.journal.holds) == {}
