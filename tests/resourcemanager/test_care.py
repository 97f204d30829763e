"""Cleaning and repair within limits, and what a person or the lab asks to be looked after."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from hwprovisioner.resourcemanager import Driver, DriverError, Facts, Report
from hwprovisioner.resourcemanager.holds import Phase
from hwprovisioner.resourcemanager.model import Care
from hwprovisioner.v1 import manager_stream_pb2, resource_pb2
from support.eventually import eventually
from support.manager import Hardware, box, manager
from support.scripted_lab import ScriptedLab, Session, scripted_lab

HEALTHY = resource_pb2.HEALTH_HEALTHY
QUARANTINED = resource_pb2.HEALTH_QUARANTINED
TWICE = Care(clean_tries=2, repair_tries=2)


@pytest.fixture
async def lab() -> AsyncIterator[ScriptedLab]:
    async with scripted_lab() as lab:
        yield lab


@pytest.fixture
def journal_file(tmp_path: Path) -> Path:
    return tmp_path / "journal"


class Mendable(Hardware):
    """Hardware with a driver that knows a repair; what it does is the test's to say."""

    repairs: list[str]
    gate_of_repair: asyncio.Event | None = None

    def __init__(self, *results: Exception | None, **more: Any) -> None:
        super().__init__(**more)
        #: What becomes of the next repairs: it works, it fails, or (`OSError`) it was no use.
        self.results = list(results)
        self.repairs = []

    def driver(self, name: str = "fake") -> type[Driver]:
        hardware = self
        base: Any = super().driver(name)

        class MendableDriver(base):  # type: ignore[misc]  # a class made by a function
            async def repair(self, trouble: str, report: Report) -> None:
                hardware.repairs.append(trouble)
                if hardware.gate_of_repair is not None:
                    await hardware.gate_of_repair.wait()
                result = hardware.results.pop(0) if hardware.results else OSError()
                if result is None:
                    hardware.trouble.clear()
                elif not isinstance(result, OSError):
                    raise result

        return MendableDriver


class Checked(Hardware):
    """Hardware whose checks take as long as the test wants."""

    _turns: asyncio.Semaphore | None = None

    async def hold_checks(self) -> asyncio.Semaphore:
        """Let checks end only as often as what is returned is released; one has begun."""
        self._turns = asyncio.Semaphore(0)
        await self.next_check()
        return self._turns

    async def next_check(self) -> None:
        """Return once another check has begun."""
        checks = len(self.checks)
        await eventually(lambda: len(self.checks) > checks)

    def driver(self, name: str = "fake") -> type[Driver]:
        hardware = self
        base: Any = super().driver(name)

        class CheckedDriver(base):  # type: ignore[misc]  # a class made by a function
            async def check(self) -> None:
                turns = hardware._turns
                await super().check()
                if turns is not None:
                    await turns.acquire()

        return CheckedDriver


async def dirty(session: Session, hold_id: str = "h1", fence: int = 1) -> Any:
    """Lend the box, and take it back though it cannot be cleaned; return what is said of it."""
    await session.offer(hold_id, fence)
    await session.hear("ready", hold_id=hold_id)
    await session.release(hold_id, fence + 1)
    return await session.hear("health", resource="box")


async def settled(session: Session) -> None:
    """Return once the manager has taken in what was said before."""
    await session.say(ping=manager_stream_pb2.Ping())
    await session.hear("pong")


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


# Repair.


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
