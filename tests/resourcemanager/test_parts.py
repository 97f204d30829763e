"""Small parts: what is public, how drivers are found, backoff, progress, the outbox."""

import asyncio
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import hwprovisioner.resourcemanager as package
from hwprovisioner.allocate import homecoming
from hwprovisioner.resourcemanager import DriverNotUsable, Hold, calls, codec, loading
from hwprovisioner.resourcemanager.backoff import CLEANING, RECONNECT, Backoff
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.outbox import CROWDED, Outbox
from hwprovisioner.resourcemanager.progress import Progress
from hwprovisioner.resourcemanager.settings import host_id
from hwprovisioner.resourcemanager.slots import Slots
from support.eventually import eventually
from support.manager import Hardware, box

PUBLIC = """
Access Channel Config ConfigError Connection Division Driver DriverError DriverNotUsable Facts Gpu
Hold Instance JournalError Kind Later Maker Makes ManagerError NoOptions OperatingSystem Power
Problem Report Resource Share TimeLimits parse_config read_config
"""


def test_the_public_names_change_on_purpose_only() -> None:
    assert package.__all__ == PUBLIC.split()


def test_each_driver_that_a_package_names_is_found() -> None:
    assert set(loading.known_drivers()) >= {"local", "ssh", "exec"}


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("import no_such_module_here", "No module named 'no_such_module_here'"),
        ("1 / 0", "fails at import: ZeroDivisionError"),
        ("Broken = 7", "is no subclass of Driver"),
    ],
)
def test_a_driver_that_cannot_be_loaded_says_why(
    module: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_driver.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_driver", raising=False)
    point = EntryPoint("broken", "broken_driver:Broken", loading.GROUP)
    monkeypatch.setattr(loading, "known_drivers", lambda: {"broken": point})
    with pytest.raises(DriverNotUsable, match=words):
        loading.load_driver.__wrapped__("broken")


def test_backoff_is_any_time_below_a_bound_that_doubles_up_to_a_cap() -> None:
    backoff = Backoff(1.0, 10.0, chance=lambda: 0.5)
    assert [backoff.delay_s(tries) for tries in range(1, 7)] == [0.5, 1, 2, 4, 5, 5]
    assert backoff.bound_s(100_000) == 10.0
    assert all(0 <= CLEANING.delay_s(tries) <= CLEANING.bound_s(tries) for tries in range(1, 50))


def test_a_manager_is_back_before_the_lab_waits_for_it_no_longer() -> None:
    assert RECONNECT.bound_s(100_000) < homecoming.LIMIT_S


async def test_progress_passes_the_first_line_at_once_and_the_newest_later() -> None:
    sent: list[str] = []
    progress = Progress(sent.append, interval_s=0.01)
    for line in ("one", "two", "", "three\n"):
        progress.report(line)
    assert sent == ["one"]
    await eventually(lambda: sent == ["one", "three"])
    progress.report("four")
    progress.close()
    assert sent[-1] == "four"


async def test_the_outbox_keeps_the_order_but_for_pongs_and_drops_only_progress() -> None:
    outbox = Outbox()
    hold = Hold("h", "box", 1)
    outbox.put(codec.accept(hold))
    for _ in range(2 * CROWDED):
        outbox.put(codec.progress(hold, "x"))
    outbox.put(codec.withdraw("box", "why"))
    outbox.put(codec.pong())
    outbox.close()
    outbox.put(codec.accept(hold))
    kinds = []
    while (message := await outbox.get()) is not None:
        kinds.append(message.WhichOneof("event"))
    assert kinds == ["pong", "accept", *["progress"] * (CROWDED - 1), "withdraw"]


async def test_a_driver_that_ignores_its_cancellation_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(calls, "LEAVE_LIMIT_S", 0.01)
    let_go = asyncio.Event()

    class Stubborn(Hardware().driver()):  # type: ignore[misc]  # a class made by a function
        async def check(self) -> None:
            while not let_go.is_set():
                try:
                    await let_go.wait()
                except asyncio.CancelledError:
                    continue

    with pytest.raises(DriverError, match=r"check: not done within 0.01 s"):
        await calls.check(Stubborn(box(limit_s=0.01)))
    assert "ignores its cancellation" in caplog.text
    let_go.set()
    await eventually(lambda: not calls._abandoned)


async def test_who_is_slow_makes_room_for_others() -> None:
    slots = Slots(1, patience_s=0.01)
    order = []

    async def stay(name: str, until: asyncio.Event) -> None:
        async with slots.one():
            order.append(name)
            await until.wait()

    never, now = asyncio.Event(), asyncio.Event()
    now.set()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(stay("slow", never))
        for name in ("quick", "quick too"):
            tasks.create_task(stay(name, now))
        await eventually(lambda: len(order) == 3)
        never.set()
    assert order == ["slow", "quick", "quick too"]
    # A place that was given back while its owner stayed is not given back twice.
    patient = Slots(1, patience_s=3600.0)
    async with patient.one():
        waiting = asyncio.create_task(stay_in(patient))
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def stay_in(slots: Slots) -> None:
    async with slots.one():
        pass


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Bench-7.Example.COM", "bench-7.example.com"), ("___", "manager")],
)
def test_a_host_name_makes_an_id(name: str, expected: str) -> None:
    from hwprovisioner.resourcemanager.model import NAME

    found = host_id(name)
    assert NAME.fullmatch(found)
    if name.isascii():
        assert found == expected
