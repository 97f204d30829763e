"""The manager's side of the conversation, with a lab that says what the test says."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import Connection, DriverError, Facts, Hold, OperatingSystem
from hwprovisioner.resourcemanager.holds import Held, Phase
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.v1 import demand_pb2, manager_stream_pb2, resource_pb2
from support.eventually import eventually
from support.manager import Hardware, box, manager
from support.scripted_lab import ScriptedLab, scripted_lab


@pytest.fixture
async def lab() -> AsyncIterator[ScriptedLab]:
    async with scripted_lab() as lab:
        yield lab


@pytest.fixture
def journal_file(tmp_path: Path) -> Path:
    return tmp_path / "journal"


async def test_it_registers_what_it_represents_then_volunteers_it(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware(facts=Facts(memory_bytes=9, os=OperatingSystem("linux")))
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        assert session.register.manager_id == "bench"
        [spec] = session.register.inventory
        assert (spec.name, spec.cpus, spec.memory_bytes, spec.os.family) == ("box", 4, 9, "linux")
        assert list(session.register.holds) == []
        volunteer = await session.hear("volunteer")
        assert volunteer.spec == spec


async def test_an_offer_is_accepted_then_ready_with_the_connection(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    hardware.gate("prepare")
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("accept", hold_id="h1", fence=1)
        assert "ready" not in session.events()
        hardware.gate("prepare").set()
        ready = await session.hear("ready", hold_id="h1", fence=1)
        assert ready.connection.protocol == "fake"
        assert ready.connection.address == "there"


async def test_the_driver_is_told_of_share_demand_and_user(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    async with manager(
        lab.target, journal_file, hardware, {"rack": box("rack", instances=3)}
    ) as run:
        session = await lab.session()
        await session.offer(
            "h1",
            1,
            "rack",
            share=resource_pb2.Share(cpus=2, memory_bytes=8, gpus=[1]),
            demand=demand_pb2.HostDemand(cpus=">=2", labels=["a"]),
            allocation_id="a1",
            host="db",
            user="eve",
        )
        await session.hear("ready", hold_id="h1")
        hold = run.journal.holds["h1"].hold
        assert (hold.share.cpus, hold.share.memory_bytes, hold.share.gpus) == (2, 8, (1,))
        assert hold.demand == {"cpus": ">=2", "labels": ["a"]}
        assert (hold.allocation_id, hold.host, hold.user) == ("a1", "db", "eve")


async def test_a_release_tears_down_cleans_and_says_so_with_its_fence(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready")
        await session.release("h1", 2)
        await session.hear("cleaned", hold_id="h1", fence=2)
        assert hardware.calls == ["prepare h1", "tear_down h1", "clean h1"]


async def test_a_release_while_readying_up_stops_it_first(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    hardware.gate("prepare")
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        await session.offer("h1", 1)
        await eventually(lambda: hardware.running)
        await session.release("h1", 2)
        await session.hear("cleaned", hold_id="h1", fence=2)
        order = ["prepare h1", "cancelled prepare h1", "tear_down h1", "clean h1"]
        assert hardware.calls == order
        assert "ready" not in session.events()


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


async def test_progress_lines_reach_the_lab_thinned_out(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware(lines=[f"line {at}\nagain {at}" for at in range(500)] + ["x" * 5000])
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        await session.offer("h1", 1)
        first = await session.hear("progress", hold_id="h1", fence=1)
        assert first.message == "again 0"
        last = await session.hear("progress", hold_id="h1")
        assert last.message == "x" * 1024
        await session.hear("ready")
        assert "progress" not in session.events()


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
        await session.say(ping=manager_stream_pb2.Ping())
        await session.hear("pong")


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


async def test_a_repeated_offer_is_answered_again_and_done_once(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    hardware.gate("prepare")
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("accept", hold_id="h1")
        await session.offer("h1", 1)
        await session.hear("accept", hold_id="h1")
        hardware.gate("prepare").set()
        await session.hear("ready", hold_id="h1")
        await session.offer("h1", 1)
        await session.hear("ready", hold_id="h1")
        assert hardware.calls == ["prepare h1"]


async def test_a_repeated_release_is_answered_again_and_done_once(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready")
        for _ in range(2):
            await session.release("h1", 2)
            await session.hear("cleaned", hold_id="h1", fence=2)
        await session.offer("h1", 1)
        await session.offer("h2", 3)
        await session.hear("ready", hold_id="h2")
        assert hardware.calls == ["prepare h1", "tear_down h1", "clean h1", "prepare h2"]


async def test_a_release_with_an_old_fence_is_ignored(lab: ScriptedLab, journal_file: Path) -> None:
    async with manager(lab.target, journal_file, Hardware()) as run:
        session = await lab.session()
        await session.offer("h1", 5)
        await session.hear("ready")
        await session.release("h1", 4)
        await session.say(ping=manager_stream_pb2.Ping())
        await session.hear("pong")
        assert run.journal.holds["h1"].phase is Phase.READY


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


async def test_a_divisible_resource_takes_several_holds(
    lab: ScriptedLab, journal_file: Path
) -> None:
    async with manager(lab.target, journal_file, Hardware(), {"rack": box("rack", instances=2)}):
        session = await lab.session()
        assert session.register.inventory[0].division.instances == 2
        await session.offer("h1", 1, "rack")
        await session.offer("h2", 2, "rack")
        await session.hear("ready", hold_id="h1")
        await session.hear("ready", hold_id="h2")


async def test_an_older_offer_of_a_divisible_resource_is_taken_after_the_end_of_another_hold(
    lab: ScriptedLab, journal_file: Path
) -> None:
    async with manager(lab.target, journal_file, Hardware(), {"rack": box("rack", instances=3)}):
        session = await lab.session()
        await session.offer("h1", 1, "rack")
        await session.hear("ready", hold_id="h1")
        await session.release("h1", 3, "rack")
        await session.offer("h2", 2, "rack")
        await session.hear("ready", hold_id="h2")
        await session.offer("forgotten", 2, "rack")
        assert "stale" in (await session.hear("decline", hold_id="forgotten")).reason


async def test_rubbish_from_the_lab_changes_nothing(lab: ScriptedLab, journal_file: Path) -> None:
    async with manager(lab.target, journal_file, Hardware()) as run:
        session = await lab.session()
        await session.say()
        await session.say(offer=manager_stream_pb2.Offer())
        await session.say(release=manager_stream_pb2.Release())
        await session.say(refused=manager_stream_pb2.Refused(reason="NO_SUCH_HOLD"))
        await session.say(ping=manager_stream_pb2.Ping())
        await session.hear("pong")
        assert dict(run.journal.holds) == {}


# What changes in the file.


async def test_a_new_resource_is_volunteered_and_a_gone_one_removed(
    lab: ScriptedLab, journal_file: Path
) -> None:
    async with manager(lab.target, journal_file, Hardware()) as run:
        session = await lab.session()
        await session.hear("volunteer")
        run.agent.represent({"other": box("other")})
        withdraw = await session.hear("withdraw", resource="box")
        assert withdraw.removed
        volunteer = await session.hear("volunteer")
        assert volunteer.spec.name == "other"


async def test_a_changed_resource_is_volunteered_again(
    lab: ScriptedLab, journal_file: Path
) -> None:
    async with manager(lab.target, journal_file, Hardware()) as run:
        session = await lab.session()
        await session.hear("volunteer")
        run.agent.represent({"box": box(cpus=9)})
        assert (await session.hear("volunteer")).spec.cpus == 9


async def test_a_change_waits_until_the_hold_has_ended(
    lab: ScriptedLab, journal_file: Path
) -> None:
    async with manager(lab.target, journal_file, Hardware()) as run:
        session = await lab.session()
        await session.hear("volunteer")
        await session.offer("h1", 1)
        await session.hear("ready")
        run.agent.represent({"box": box(cpus=9)})
        await session.say(ping=manager_stream_pb2.Ping())
        await session.hear("pong")
        assert "volunteer" not in session.events()
        await session.release("h1", 2)
        await session.hear("cleaned")
        assert (await session.hear("volunteer")).spec.cpus == 9


async def test_a_changed_divisible_resource_takes_no_more_until_its_holds_have_ended(
    lab: ScriptedLab, journal_file: Path
) -> None:
    rack = {"rack": box("rack", instances=3)}
    async with manager(lab.target, journal_file, Hardware(), rack) as run:
        session = await lab.session()
        await session.hear("volunteer")
        await session.offer("h1", 1, "rack")
        await session.hear("ready")
        run.agent.represent({"rack": box("rack", instances=8)})
        assert "configuration changes" in (await session.hear("withdraw")).reason
        await session.release("h1", 2, "rack")
        await session.hear("cleaned")
        assert (await session.hear("volunteer")).spec.division.instances == 8


async def test_a_removed_resource_stays_until_its_hold_is_cleaned(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    async with manager(lab.target, journal_file, hardware) as run:
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready")
        run.agent.represent({})
        assert (await session.hear("withdraw")).removed
        await session.release("h1", 2)
        await session.hear("cleaned")
        assert hardware.calls[-1] == "clean h1"
        await session.offer("h2", 3)
        assert "not represented" in (await session.hear("decline")).reason


async def test_a_resource_that_comes_back_while_held_is_lent_as_before(
    lab: ScriptedLab, journal_file: Path
) -> None:
    async with manager(lab.target, journal_file, Hardware()) as run:
        session = await lab.session()
        await session.hear("volunteer")
        await session.offer("h1", 1)
        await session.hear("ready")
        run.agent.represent({})
        await session.hear("withdraw")
        run.agent.represent({"box": box()})
        await session.hear("volunteer")


async def test_a_change_between_registration_and_its_answer_is_told(journal_file: Path) -> None:
    async with manager("127.0.0.1:1", journal_file, Hardware()) as run:
        run.agent.registration()
        run.agent.represent({"other": box("other")})
        said: list[manager_stream_pb2.SubscribeRequest] = []
        run.agent.connected(said.append)
        assert said[0].withdraw.resource == "box"
        assert said[0].withdraw.removed


# What an earlier life left in the journal.


def left_behind(journal_file: Path, *held: Held) -> None:
    journal = Journal.open(journal_file)
    for one in held:
        journal.put(one)
    journal.close()


async def test_after_a_crash_readying_up_is_done_anew_once_registered(
    lab: ScriptedLab, journal_file: Path
) -> None:
    left_behind(journal_file, Held(Hold("h1", "box", 4)))
    async with manager(lab.target, journal_file, Hardware()):
        session = await lab.session()
        [held] = session.register.holds
        assert (held.hold.hold_id, held.hold.fence) == ("h1", 4)
        assert held.state == resource_pb2.HOLD_STATE_PREPARING
        await session.hear("accept", hold_id="h1", fence=4)
        await session.hear("ready", hold_id="h1", fence=4)


async def test_after_a_crash_what_was_ready_is_ready_still(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    left_behind(journal_file, Held(Hold("h1", "box", 4), Phase.READY, Connection("as before")))
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        assert session.register.holds[0].state == resource_pb2.HOLD_STATE_READY
        ready = await session.hear("ready", hold_id="h1", fence=4)
        assert ready.connection.protocol == "as before"
        assert hardware.calls == []


async def test_after_a_crash_a_failure_is_told_again(lab: ScriptedLab, journal_file: Path) -> None:
    left_behind(journal_file, Held(Hold("h1", "box", 4), Phase.FAILED, reason="broken"))
    async with manager(lab.target, journal_file, Hardware()):
        session = await lab.session()
        assert (await session.hear("failed", hold_id="h1")).reason == "broken"


async def test_after_a_crash_cleaning_goes_on_even_without_a_lab(journal_file: Path) -> None:
    hardware = Hardware()
    left_behind(journal_file, Held(Hold("h1", "box", 4), Phase.CLEANING))
    async with manager("127.0.0.1:1", journal_file, hardware) as run:
        await eventually(lambda: run.journal.holds["h1"].phase is Phase.CLEANED)
        assert hardware.calls == ["tear_down h1", "clean h1"]


async def test_a_hold_on_what_is_no_longer_in_the_file_is_cleaned_once_it_is_back(
    lab: ScriptedLab, journal_file: Path
) -> None:
    left_behind(journal_file, Held(Hold("h1", "gone", 4), Phase.READY, Connection("local")))
    async with manager(lab.target, journal_file, Hardware()) as run:
        session = await lab.session()
        await session.release("h1", 5, "gone")
        line = await session.hear("progress", hold_id="h1")
        assert "not in its manager's resources file" in line.message
        run.agent.represent({"gone": box("gone")})
        await session.hear("cleaned", hold_id="h1", fence=5)


async def test_a_journal_that_cannot_be_written_declines(
    lab: ScriptedLab, journal_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Journal, held: Held) -> None:
        raise OSError(28, "No space left on device")

    async with manager(lab.target, journal_file, Hardware()):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready")
        monkeypatch.setattr(Journal, "put", full)
        await session.release("h1", 2)
        await session.hear("cleaned", hold_id="h1", fence=2)
        await session.offer("h2", 3)
        assert "No space left" in (await session.hear("decline", hold_id="h2")).reason
