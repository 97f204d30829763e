"""Redis loses its last changes, at each step of a hold's life: what managers know puts it right."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest

from hwprovisioner.resourcemanager import DriverError
from hwprovisioner.state.link import Link
from hwprovisioner.state.tables import HoldState
from support.asking import Asked, asking, new_request
from support.eventually import eventually
from support.forgetful_bench import TTL_S, Bench, lose, restart
from support.manager import Hardware, manager
from support.redis_server import running
from support.refusals import refusal
from support.services import allocate
from support.state_lab import StateLab


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    # Whoever has something to say accepts before it is ready: each step is a change of its own.
    hardware = Hardware(lines=["power on"])
    with running(durable=True) as server:
        async with (
            allocate(server.url) as service,
            Link(server.unix_url) as link,
            manager(service.target, tmp_path / "journal", hardware) as agent,
        ):
            bench = Bench(server, service, agent, hardware, StateLab(link))
            await eventually(lambda: link.connected)
            await bench.until_free()
            yield bench


def open_gates(hardware: Hardware) -> None:
    for gate in hardware.gates.values():
        gate.set()


BEFORE = ("submit", 0)
SUBMITTED, GRANTED, ACCEPTED, READY = ("submit", 1), ("grant", 1), ("accept", 1), ("ready", 1)
RELEASED = ("release", 1)
#: How an allocation that was given back ends, by what was the last change that was kept.
GIVEN_BACK = [
    (SUBMITTED, "READY"),
    (GRANTED, "PREPARE_FAILED"),
    (ACCEPTED, "PREPARE_FAILED"),
    (READY, "RESOURCE_LOST"),
    (RELEASED, "RELEASED"),
]


@pytest.mark.parametrize("at", [SUBMITTED, GRANTED, ACCEPTED])
async def test_what_is_being_readied_up_goes_on(bench: Bench, at: tuple[str, int]) -> None:
    bench.hardware.gate("prepare")
    async with bench.asking() as asked:
        await eventually(lambda: bench.hardware.running)
        await eventually(lambda: is_in(bench, HoldState.PREPARING))
        await lose(bench, *at)
        await eventually(lambda: is_in(bench, HoldState.PREPARING))
        open_gates(bench.hardware)
        await bench.until_ready()
        assert bench.hardware.calls == ["prepare box.1"], "not even once more"
        await asked.release()
    await bench.until_free()
    await bench.check_goes_on()


async def is_in(bench: Bench, state: HoldState) -> bool:
    return [hold.state for hold in (await bench.records()).holds.values()] == [state]


@pytest.mark.parametrize("at", [SUBMITTED, GRANTED, ACCEPTED, READY])
async def test_what_its_holder_uses_is_kept(bench: Bench, at: tuple[str, int]) -> None:
    async with bench.asking() as asked:
        await asked.until("ready")
        await lose(bench, *at)
        await eventually(lambda: is_back(bench))
        await bench.until_ready()
        assert bench.hardware.calls == ["prepare box.1"]
        assert (await bench.box()).holds == ("box.1",)
        if at != READY:
            await asked.until("ready")
        [host] = asked.allocation.hosts.values()
        assert host.connection.address == "there"
        assert (await asked.release()).id == asked.id
        assert await bench.outcome(asked) == "RELEASED"
    await bench.until_free()
    await bench.check_goes_on()


async def is_back(bench: Bench) -> bool:
    """Whether the manager has registered since, and told all it has."""
    managers = (await bench.records()).managers
    return bool(managers) and all(m.epoch and not m.returning for m in managers.values())


@pytest.mark.parametrize(("at", "outcome"), GIVEN_BACK)
async def test_what_was_being_cleaned_is_cleaned_once(
    bench: Bench, at: tuple[str, int], outcome: str
) -> None:
    bench.hardware.gate("clean")
    async with bench.asking() as asked:
        await asked.until("ready")
        await asked.release()
        await eventually(lambda: "clean box.1" in bench.hardware.running)
        await lose(bench, *at)
        await eventually(lambda: is_back(bench))
        open_gates(bench.hardware)
        await eventually(lambda: has_come_to(bench, asked, outcome))
        cleanings = ["tear_down box.1", "clean box.1"]
        assert bench.hardware.calls[:3] == ["prepare box.1", *cleanings]
        assert not {*cleanings} & {*bench.hardware.calls[3:]}
        await check_detail(bench, asked, outcome)
        if outcome == "READY":  # it waited again, so it was granted again
            await asked.release()
    await bench.until_free()
    await bench.check_goes_on()


async def has_come_to(bench: Bench, asked: Asked, outcome: str) -> bool:
    return await bench.outcome(asked) == outcome


async def check_detail(bench: Bench, asked: Asked, outcome: str) -> None:
    if outcome == "RESOURCE_LOST":
        detail = (await bench.records()).allocations[asked.id].end_detail
        assert "the lab's Redis has lost its last changes" in detail


@pytest.mark.parametrize(("at", "outcome"), GIVEN_BACK)
async def test_what_is_clean_is_not_cleaned_again(
    bench: Bench, at: tuple[str, int], outcome: str
) -> None:
    async with bench.asking() as asked:
        await asked.until("ready")
        await asked.release()
        await bench.until_free()
        await lose(bench, *at)
        await eventually(lambda: is_back(bench))
        await eventually(lambda: has_come_to(bench, asked, outcome))
        assert bench.hardware.calls.count("clean box.1") == 1
        await check_detail(bench, asked, outcome)
        if outcome == "READY":
            await asked.release()
    await bench.until_free()
    await bench.check_goes_on()


@pytest.mark.parametrize(
    ("at", "first", "second"),
    [
        (READY, "RESOURCE_LOST", "unknown"),
        (RELEASED, "RELEASED", "unknown"),
        (("cleaned", 1), "RELEASED", "unknown"),
        (("submit", 2), "RELEASED", "READY"),
        (("grant", 2), "RELEASED", "READY"),
        (("accept", 2), "RELEASED", "READY"),
    ],
)
async def test_the_next_holder_is_kept_if_its_request_is_known(
    bench: Bench, at: tuple[str, int], first: str, second: str
) -> None:
    async with bench.asking() as gone:
        await gone.until("ready")
        await gone.release()
        await bench.until_free()
        async with bench.asking() as asked:
            await asked.until("ready")
            [hold] = (await bench.box()).holds
            await lose(bench, *at)
            await eventually(lambda: is_back(bench))
            await eventually(lambda: has_come_to(bench, gone, first))
            await eventually(lambda: has_come_to(bench, asked, second))
            if second == "READY":
                await bench.until_ready()
                assert (await bench.box()).holds == (hold,)
                assert bench.hardware.calls.count(f"prepare {hold}") == 1
                await asked.release()
            await bench.until_free()
            assert bench.hardware.calls.count(f"clean {hold}") == 1
    await bench.check_goes_on()


@pytest.mark.parametrize("is_ready", [False, True])
async def test_what_nobody_knows_any_more_is_cleaned(bench: Bench, is_ready: bool) -> None:
    if not is_ready:
        bench.hardware.gate("prepare")
    async with bench.asking() as asked:
        if is_ready:
            await asked.until("ready")
        else:
            await eventually(lambda: "prepare box.1" in bench.hardware.running)
        await lose(bench, *BEFORE)
        await eventually(lambda: "clean box.1" in bench.hardware.calls)
        assert await bench.outcome(asked) == "unknown"
        assert (await refusal(asked.until("ended"))).reason == "NO_SUCH_ALLOCATION"
    open_gates(bench.hardware)
    await bench.until_free()
    await bench.check_goes_on()


@pytest.mark.parametrize("at", [ACCEPTED, ("fail", 1)])
async def test_a_failure_is_told_again(bench: Bench, at: tuple[str, int]) -> None:
    bench.hardware.failures["prepare"] = [DriverError("no power")]
    async with bench.asking() as asked:
        assert await asked.ended() == "PREPARE_FAILED"
        await bench.until_free()
        await lose(bench, *at)
        await eventually(lambda: is_back(bench))
        await eventually(lambda: has_come_to(bench, asked, "PREPARE_FAILED"))
    await bench.until_free()
    await bench.check_goes_on()


async def test_a_request_that_is_sent_again_is_a_new_one_if_it_was_forgotten(bench: Bench) -> None:
    request = new_request(lease_ttl=TTL_S)
    async with asking(bench.service.stub, request) as asked:
        await asked.until("ready")
        await lose(bench, *BEFORE)
        await eventually(lambda: "clean box.1" in bench.hardware.calls)

    async def asks_again() -> str:
        with contextlib.suppress(grpc.aio.AioRpcError):  # the lab is away for a moment yet
            async with asking(bench.service.stub, request) as again:
                await again.until("ready")
                await again.release()
                return again.id
        return ""

    assert await eventually(asks_again) != asked.id
    await bench.until_free()
    await bench.check_goes_on()


async def test_when_everything_is_deleted_managers_begin_anew_above_what_they_have_seen(
    bench: Bench,
) -> None:
    async with bench.asking() as asked:
        await asked.until("ready")
        await bench.state.link.call("FLUSHALL")
        await eventually(lambda: "clean box.1" in bench.hardware.calls)
        assert await bench.outcome(asked) == "unknown"
    await bench.until_free()
    assert (await bench.box()).fence >= 1
    await bench.check_goes_on()


async def test_a_restart_that_lost_nothing_costs_only_a_registration(bench: Bench) -> None:
    async with bench.asking() as asked:
        await asked.until("ready")
        before = await bench.records()
        await restart(bench)
        await eventually(lambda: is_back(bench))
        await bench.until_ready()
        after = await bench.records()
        assert after.managers["bench"].epoch > before.managers["bench"].epoch
        assert after.allocations == before.allocations
        assert after.holds == before.holds
        assert bench.hardware.calls == ["prepare box.1"]
        await asked.release()
    await bench.until_free()
    await bench.check_goes_on()
