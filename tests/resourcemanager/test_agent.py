"""The manager's side of the conversation, with a lab that says what the test says."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from hwprovisioner.resourcemanager import DriverError, Facts, Hold, OperatingSystem, Report
from hwprovisioner.resourcemanager.holds import Phase
from hwprovisioner.v1 import demand_pb2, manager_stream_pb2, resource_pb2
from support.cared_for import settled
from support.eventually import eventually
from support.manager import Hardware, box, manager
from support.scripted_lab import ScriptedLab


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


async def test_what_is_ready_at_once_is_not_accepted_before(
    lab: ScriptedLab, journal_file: Path
) -> None:
    async with manager(lab.target, journal_file, Hardware()):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready", hold_id="h1", fence=1)
        assert "accept" not in session.events()


async def test_how_readying_up_goes_is_said_after_the_acceptance(
    lab: ScriptedLab, journal_file: Path
) -> None:
    async with manager(lab.target, journal_file, Hardware(lines=["booting"])):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready", hold_id="h1")
        assert session.events()[-2:] == ["accept", "progress"]


async def test_what_fails_at_once_is_accepted_before(lab: ScriptedLab, journal_file: Path) -> None:
    hardware = Hardware(failures={"prepare": [DriverError("smoke")]})
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("failed", hold_id="h1")
        assert session.events()[-1] == "accept"


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


async def test_it_tells_with_its_registration_all_that_the_lab_may_have_lost(
    lab: ScriptedLab, journal_file: Path
) -> None:
    resources = {"rack": box("rack", instances=3), "box": box()}
    async with manager(lab.target, journal_file, Hardware(), resources):
        session = await lab.session()
        share = resource_pb2.Share(cpus=2, memory_bytes=8, gpus=[1])
        await session.offer("h1", 1, "rack", share=share, allocation_id="a1", host="db")
        await session.hear("ready", hold_id="h1")
        await session.offer("h2", 4)
        await session.hear("ready", hold_id="h2")
        await session.release("h2", 6)
        await session.hear("cleaned", hold_id="h2")
        session.end(grpc.StatusCode.UNAVAILABLE)
        again = await lab.session()
        [held] = again.register.holds
        assert (held.hold.hold_id, held.hold.fence, held.share) == ("h1", 1, share)
        assert (held.allocation_id, held.host) == ("a1", "db")
        assert held.state == resource_pb2.HOLD_STATE_READY
        [ref] = again.register.cleaned
        assert (ref.hold_id, ref.fence) == ("h2", 6)
        assert dict(again.register.fences) == {"rack": 1, "box": 6}
        volunteered = [await again.hear("volunteer") for _ in resources]
        assert {each.spec.name: each.fence for each in volunteered} == {"rack": 1, "box": 6}


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


class ReleasedHardware(Hardware):
    """Ready some turns of the loop before its hold is released."""

    def __init__(self, turns: int) -> None:
        super().__init__()
        self.release: Callable[[], None] = lambda: None
        self._turns = turns

    async def act(self, action: str, hold: Hold, report: Report) -> None:
        await super().act(action, hold, report)
        if action == "prepare":
            self._in(self._turns)

    def _in(self, turns: int) -> None:
        if turns == 0:
            self.release()
        else:
            asyncio.get_running_loop().call_soon(self._in, turns - 1)


@pytest.mark.parametrize("turns", range(8))
async def test_a_release_in_any_moment_after_the_hardware_is_ready_is_the_end(
    lab: ScriptedLab, journal_file: Path, turns: int
) -> None:
    ref = manager_stream_pb2.HoldRef(hold_id="h1", fence=2)
    release = manager_stream_pb2.Release(hold=ref, resource="box", reason="released", begun=True)
    message = manager_stream_pb2.SubscribeResponse(release=release)
    hardware = ReleasedHardware(turns)
    async with manager(lab.target, journal_file, hardware) as run:
        hardware.release = lambda: run.agent.receive(message)
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("cleaned", hold_id="h1", fence=2)
        assert hardware.calls == ["prepare h1", "tear_down h1", "clean h1"]


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
        await settled(session)
        assert run.journal.holds["h1"].phase is Phase.READY


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
