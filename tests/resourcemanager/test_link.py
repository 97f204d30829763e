"""The stream itself: connecting, losing it, being sent away."""

import asyncio
from pathlib import Path

import grpc
import pytest
from google.rpc import code_pb2, error_details_pb2, status_pb2  # type: ignore[import-untyped]

from hwprovisioner.resourcemanager.errors import BadRegistration, RefusedByLab, Superseded
from hwprovisioner.v1 import manager_stream_pb2
from support.eventually import eventually
from support.manager import Hardware, box, manager
from support.scripted_lab import ScriptedLab, scripted_lab
from support.tcp_proxy import proxy_to


def with_details(code: int, *details: object) -> tuple[tuple[str, bytes], ...]:
    status = status_pb2.Status(code=code, message="no")
    for detail in details:
        status.details.add().Pack(detail)
    return (("grpc-status-details-bin", status.SerializeToString()),)


SUPERSEDED = with_details(
    code_pb2.ABORTED, error_details_pb2.ErrorInfo(reason="SUPERSEDED", domain="hwprovisioner")
)


async def test_it_waits_for_a_lab_that_is_not_there_yet(journal_file: Path) -> None:
    lab = ScriptedLab()
    await lab.start()
    await lab.stop()
    shown: list[bool] = []
    async with manager(lab.target, journal_file, Hardware(), shown=shown.append):
        await eventually(lambda: shown)
        assert True not in shown
        await lab.start()
        await lab.session()
        await eventually(lambda: shown[-1])
        await lab.stop()


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.ABORTED,
    ],
)
async def test_it_connects_again_and_goes_on(
    lab: ScriptedLab, journal_file: Path, code: grpc.StatusCode
) -> None:
    hardware = Hardware()
    hardware.gate("prepare")
    async with manager(lab.target, journal_file, hardware):
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("accept", hold_id="h1")
        session.end(code)
        again = await lab.session()
        assert [held.hold.hold_id for held in again.register.holds] == ["h1"]
        await again.hear("volunteer")
        await again.hear("accept", hold_id="h1")
        hardware.gate("prepare").set()
        await again.hear("ready", hold_id="h1")
        assert hardware.calls == ["prepare h1"]


async def test_what_became_ready_without_a_stream_is_told_with_the_next(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    hardware.gate("prepare")
    async with manager(lab.target, journal_file, hardware) as run:
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("accept")
        await lab.stop()
        hardware.gate("prepare").set()
        await eventually(lambda: run.journal.holds["h1"].connection)
        await lab.start()
        again = await lab.session()
        await again.hear("ready", hold_id="h1", fence=1)


async def test_a_lost_cleaned_is_said_again_when_the_release_comes_again(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    hardware.gate("clean")
    async with manager(lab.target, journal_file, hardware) as run:
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready")
        await session.release("h1", 2)
        await eventually(lambda: "clean h1" in hardware.running)
        await lab.stop()
        hardware.gate("clean").set()
        await eventually(lambda: not run.journal.holds["h1"].is_live)
        await lab.start()
        again = await lab.session()
        await again.release("h1", 2)
        await again.hear("cleaned", hold_id="h1", fence=2)
        assert hardware.calls.count("clean h1") == 1


async def test_a_silent_lab_is_left_for_a_new_stream(journal_file: Path) -> None:
    async with scripted_lab() as lab, proxy_to(lab.port) as proxy:
        lab.silence_s = 1
        async with manager(f"127.0.0.1:{proxy.port}", journal_file, Hardware()):
            await lab.session()
            # Half open: the lab's words no longer come through, and nobody closes anything.
            await lab.session()
            await lab.stop()


async def test_a_half_open_connection_is_left_for_a_new_one(journal_file: Path) -> None:
    async with scripted_lab() as lab, proxy_to(lab.port) as proxy:
        lab.silence_s = 1
        async with manager(f"127.0.0.1:{proxy.port}", journal_file, Hardware()):
            await lab.session()
            proxy.half_open()
            # gRPC itself would take half a minute to notice.
            await lab.session()
            assert proxy.connections == 2
            await lab.stop()


async def test_a_cut_connection_is_made_again(journal_file: Path) -> None:
    async with scripted_lab() as lab, proxy_to(lab.port) as proxy:
        async with manager(f"127.0.0.1:{proxy.port}", journal_file, Hardware()):
            for _ in range(3):
                session = await lab.session()
                await session.hear("volunteer")
                proxy.cut()
            await lab.session()


async def test_a_superseded_manager_stops_though_the_status_got_lost(
    lab: ScriptedLab, journal_file: Path
) -> None:
    async with manager(lab.target, journal_file, Hardware()) as run:
        session = await lab.session()
        await session.refuse("SUPERSEDED", "")
        session.end(grpc.StatusCode.INTERNAL, "Internal error from Core")
        with pytest.raises(Superseded, match="HWP_MANAGER_ID"):
            await run.link


async def test_a_superseded_manager_stops_for_good(lab: ScriptedLab, journal_file: Path) -> None:
    async with manager(lab.target, journal_file, Hardware()) as run:
        session = await lab.session()
        # gRPC tells a client INTERNAL, and not why, when a stream ends under a message of its own.
        await session.hear("volunteer")
        session.end(grpc.StatusCode.ABORTED, "newer", SUPERSEDED)
        with pytest.raises(Superseded, match="HWP_MANAGER_ID"):
            await run.link


async def test_a_wrong_registration_is_explained_field_by_field(
    lab: ScriptedLab, journal_file: Path
) -> None:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="register.inventory[0].name", description="is taken")
    trailing = with_details(code_pb2.INVALID_ARGUMENT, bad)
    lab.refusal = (grpc.StatusCode.INVALID_ARGUMENT, "wrong", trailing)
    async with manager(lab.target, journal_file, Hardware()) as run:
        with pytest.raises(BadRegistration) as caught:
            await run.link
    assert caught.value.violations == (("register.inventory[0].name", "is taken"),)
    assert "register.inventory[0].name: is taken" in str(caught.value)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.PERMISSION_DENIED])
async def test_a_server_that_will_never_take_it_is_left(
    lab: ScriptedLab, journal_file: Path, code: grpc.StatusCode
) -> None:
    lab.refusal = (code, "no", ())
    async with manager(lab.target, journal_file, Hardware()) as run:
        with pytest.raises(RefusedByLab, match=code.name):
            await run.link


async def test_details_that_cannot_be_read_are_no_harm(
    lab: ScriptedLab, journal_file: Path
) -> None:
    rubbish = (("grpc-status-details-bin", b"\xff\xff"),)
    lab.refusal = (grpc.StatusCode.INVALID_ARGUMENT, "wrong", rubbish)
    async with manager(lab.target, journal_file, Hardware()) as run:
        with pytest.raises(BadRegistration):
            await run.link


async def test_at_the_end_everything_is_withdrawn_and_what_is_held_stays_in_the_journal(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    hardware.gate("prepare slow")
    boxes = {"box": box(), "other": box("other")}
    async with manager(lab.target, journal_file, hardware, boxes) as run:
        session = await lab.session()
        await session.offer("h1", 1)
        await session.hear("ready")
        await session.offer("slow", 1, "other")
        await session.hear("accept", hold_id="slow")
        run.stopping.set()
        reason = (await session.hear("withdraw", resource="box")).reason
        assert reason == "its manager has been stopped"
        await session.hear("withdraw", resource="other")
        await session.ended.wait()
        await run.link
    async with manager(lab.target, journal_file, Hardware(), boxes):
        again = await lab.session()
        assert {held.hold.hold_id for held in again.register.holds} == {"h1", "slow"}
        await again.hear("ready", hold_id="slow")


async def test_an_offer_that_comes_while_stopping_is_declined_or_left(
    lab: ScriptedLab, journal_file: Path
) -> None:
    async with manager(lab.target, journal_file, Hardware()) as run:
        session = await lab.session()
        run.stopping.set()
        await session.hear("withdraw", resource="box")
        await session.ended.wait()
        assert dict(run.journal.holds) == {}


async def test_a_hundred_pings_get_a_hundred_pongs_while_drivers_work(
    lab: ScriptedLab, journal_file: Path
) -> None:
    hardware = Hardware()
    hardware.gate("prepare")
    boxes = {f"box{at}": box(f"box{at}") for at in range(20)}
    async with manager(lab.target, journal_file, hardware, boxes):
        session = await lab.session()
        for at in range(20):
            await session.offer(f"h{at}", 1, f"box{at}")
        await eventually(lambda: len(hardware.running) == 20)
        async with asyncio.timeout(10):
            for _ in range(100):
                await session.say(ping=manager_stream_pb2.Ping())
            for _ in range(100):
                await session.hear("pong")
        hardware.gate("prepare").set()
