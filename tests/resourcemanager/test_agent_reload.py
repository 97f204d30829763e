"""What a manager tells the lab when its file changes."""

from pathlib import Path

from hwprovisioner.v1 import manager_stream_pb2
from support.cared_for import settled
from support.manager import Hardware, box, manager
from support.scripted_lab import ScriptedLab


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
        await settled(session)
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
