"""Drivers that hang, raise, answer nonsense or die: one resource's trouble, and no other's."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import pytest

from hwprovisioner.resourcemanager import (
    Connection,
    Driver,
    DriverError,
    Facts,
    Hold,
    Report,
    Resource,
    calls,
    parse_config,
)
from hwprovisioner.resourcemanager.loading import load_driver
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import Gpu, Instance, Makes, OperatingSystem, Traits
from support.eventually import eventually
from support.manager import Hardware, box, manager
from support.scripted_lab import ScriptedLab, Session

#: A call ends by then; nothing is measured.
SOON_S = 0.1


async def hang() -> None:
    await asyncio.Event().wait()


async def hang_on() -> None:
    """Ignore one cancellation, as a driver that tidies up in a hurry does."""
    try:
        await hang()
    except asyncio.CancelledError:
        await asyncio.sleep(0)  # and is gone


async def fail() -> None:
    raise ZeroDivisionError("division by zero")


class Odd(BaseException):
    """As some libraries have them, for what nobody should catch."""


async def fail_oddly() -> None:
    raise Odd("neither here nor there")


async def stammer() -> None:
    raise DriverError("no such file: \udcff" + "x" * 10_000)


async def leave() -> None:
    sys.exit("a driver should not do that")


async def give_up() -> None:
    raise asyncio.CancelledError


async def talk_nonsense() -> Any:
    return "nonsense"


def no_coroutine() -> Any:
    return 7


#: What a driver does, and what is said of it.
FAULTS: dict[str, tuple[Callable[[], Any], str]] = {
    "hangs": (hang, "not done within 0.1 s"),
    "hangs on": (hang_on, "not done within 0.1 s"),
    "raises": (fail, "ZeroDivisionError: division by zero"),
    "raises oddly": (fail_oddly, "Odd: neither here nor there"),
    "stammers": (stammer, "no such file: \\udcffxxx"),
    "exits": (leave, "tried to end the manager: SystemExit"),
    "cancels": (give_up, "the driver gave itself up"),
    "answers nonsense": (talk_nonsense, "the driver returned str, not"),
    "is no coroutine": (no_coroutine, "TypeError"),
}


def misbehaving(
    fault: Callable[[], Any], action: str, times: list[int] | None = None
) -> Callable[[str], type[Driver]]:
    """Return what finds drivers; `bad` ones misbehave at an action, once or so often."""
    good = Hardware().driver()
    left = [1] if times is None else times

    class Bad(good):  # type: ignore[misc, valid-type]  # a class made by a function
        async def describe(self) -> Facts:
            return Facts()

    def call(self: Driver, *arguments: Any) -> Any:
        if left[0] > 0:
            left[0] -= 1
            return fault()
        return getattr(good, action)(self, *arguments)

    setattr(Bad, action, call)
    return lambda name: Bad if name == "bad" else good


def two() -> dict[str, Resource]:
    bad = box("bad", limit_s=SOON_S)
    return {"bad": Resource(**{**fields(bad), "driver": "bad"}), "good": box("good")}


def fields(resource: Resource) -> dict[str, Any]:
    return {name: getattr(resource, name) for name in resource.__slots__}


async def works(session: Session, hold_id: str, fence: int, resource: str) -> None:
    await session.offer(hold_id, fence, resource)
    await session.hear("ready", hold_id=hold_id)
    await session.release(hold_id, fence + 1, resource)
    await session.hear("cleaned", hold_id=hold_id)


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_in_readying_up_fails_that_hold_with_its_own_words(
    lab: ScriptedLab, journal_file: Path, name: str
) -> None:
    fault, words = FAULTS[name]
    async with manager(lab.target, journal_file, misbehaving(fault, "prepare"), two()):
        session = await lab.session()
        await session.offer("h1", 1, "bad")
        failed = await session.hear("failed", hold_id="h1")
        assert failed.reason.startswith("prepare: ")
        assert words in failed.reason
        await works(session, "g1", 1, "good")
        session.heard.clear()
        await session.release("h1", 2, "bad")
        await session.hear("cleaned", hold_id="h1")
        assert (await session.hear("volunteer")).spec.name == "bad"
        await works(session, "h2", 3, "bad")


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        (Connection("ssh", port="22"), "wrong port: should be a whole number"),  # type: ignore[arg-type]  # nonsense
        (Connection("ssh", port=65_536), "wrong port: should be 65535 or less"),
        (Connection("ssh", None), "wrong address: "),  # type: ignore[arg-type]  # nonsense
        (Connection("ssh", "a\ud800"), "wrong address: "),
        (Connection("ssh", properties={"password": b"s3cr3t"}), "wrong properties.password: "),  # type: ignore[dict-item]  # nonsense
        (Connection("ssh", properties={"it": iter("s3cr3t")}), "wrong properties.it: "),  # type: ignore[dict-item]  # nonsense
        (Connection("ssh", properties={"it": memoryview(b"")}), "cannot be read: TypeError"),  # type: ignore[dict-item]  # nonsense
        (Connection("x" * 129), "wrong protocol: "),
    ],
)
async def test_a_connection_that_is_none_fails_that_hold(
    lab: ScriptedLab, journal_file: Path, connection: Connection, words: str
) -> None:
    async def answer() -> Connection:
        return connection

    async with manager(lab.target, journal_file, misbehaving(answer, "prepare"), two()):
        session = await lab.session()
        await session.offer("h1", 1, "bad")
        reason = (await session.hear("failed", hold_id="h1")).reason
        assert words in reason
        assert "s3cr3t" not in reason
        await works(session, "g1", 1, "good")


@pytest.mark.parametrize(
    "facts",
    [
        Facts(cpus=-1),
        Facts(cpus="four"),  # type: ignore[arg-type]  # nonsense
        Facts(memory_bytes=2**70),
        Facts(gpus=(None,)),  # type: ignore[arg-type]  # nonsense
        Facts(gpus=(Gpu(),) * 65),
        Facts(os=OperatingSystem("linux", "\ud800")),
        Facts(os=OperatingSystem("linux", kernel="\ud800")),
        Facts(os="linux"),  # type: ignore[arg-type]  # nonsense
    ],
)
async def test_facts_that_are_none_leave_what_the_file_says(
    lab: ScriptedLab, journal_file: Path, facts: Facts
) -> None:
    async def answer() -> Facts:
        return facts

    async with manager(lab.target, journal_file, misbehaving(answer, "describe"), two()):
        session = await lab.session()
        await works(session, "h1", 1, "bad")


@pytest.mark.parametrize("action", ["tear_down", "clean"])
@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_in_cleaning_is_tried_again(
    lab: ScriptedLab, journal_file: Path, name: str, action: str
) -> None:
    fault, words = FAULTS[name]
    async with manager(lab.target, journal_file, misbehaving(fault, action), two()):
        session = await lab.session()
        await session.offer("h1", 1, "bad")
        await session.hear("ready", hold_id="h1")
        await session.release("h1", 2, "bad")
        line = await session.hear("progress", hold_id="h1")
        assert words in line.message
        assert line.message.startswith("not clean: ")
        await works(session, "g1", 1, "good")
        await session.hear("cleaned", hold_id="h1")


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_in_a_check_withdraws_that_resource(
    lab: ScriptedLab, journal_file: Path, name: str
) -> None:
    fault, words = FAULTS[name]
    times = [0]
    async with manager(lab.target, journal_file, misbehaving(fault, "check", times), two()):
        session = await lab.session()
        for _ in range(2):
            await session.hear("volunteer")
        times[0] = 1
        assert words in (await session.hear("withdraw", resource="bad")).reason
        await works(session, "g1", 1, "good")
        assert (await session.hear("volunteer")).spec.name == "bad"
        await works(session, "h1", 1, "bad")


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_in_describing_leaves_what_the_file_says(
    lab: ScriptedLab, journal_file: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    fault, words = FAULTS[name]
    async with manager(lab.target, journal_file, misbehaving(fault, "describe"), two()):
        session = await lab.session()
        await works(session, "h1", 1, "bad")
        assert words in caplog.text


def test_a_driver_that_cannot_say_what_it_can_do_can_do_nothing() -> None:
    class Bad(Hardware().driver()):  # type: ignore[misc]  # a class made by a function
        @property
        def has_power(self) -> bool:
            raise ZeroDivisionError

    class Odd(Hardware().driver()):  # type: ignore[misc]  # as above
        @property
        def makes(self) -> Makes | None:
            return "anything"  # type: ignore[return-value]  # nonsense

        def time_limits(self) -> Any:
            raise ZeroDivisionError

    class Silly(Hardware().driver()):  # type: ignore[misc]  # as above
        makes = Makes(images=("",))

    class Loose(Hardware().driver()):  # type: ignore[misc]  # as above
        has_power = "yes"

    assert calls.traits(Silly(box())) == Traits()
    assert calls.traits(Loose(box())) == Traits(has_power=True)
    assert calls.traits(Bad(box())) == Traits()
    assert calls.traits(Odd(box())) == Traits()
    assert calls.ready_up_limit_s(Odd(box())) > 0


class OddMaker(Maker):
    """Says of what there is whatever a test wants."""

    answer: Any = None

    async def make(self, instance: Instance, report: Report) -> None: ...

    async def hand_over(self, instance: Instance, hold: Hold, report: Report) -> Connection:
        return Connection("odd")

    async def destroy(self, name: str, report: Report) -> None: ...

    async def existing(self) -> Collection[str]:
        return self.answer  # type: ignore[no-any-return]  # nonsense, too


@pytest.mark.parametrize("answer", [None, "a-name", [1, 2], [b"name"]])
async def test_names_that_are_none_are_no_answer(answer: object) -> None:
    maker = OddMaker(box())
    maker.answer = answer
    with pytest.raises(DriverError, match="existing: the driver returned"):
        await calls.existing(maker)


# Real programs.

HANGS = "read -r nothing < {folder}/never"
DIES = "kill -9 $$"
TALKS = "echo nonsense"
#: Its answers are good, but what it started goes on and on.
LINGERS = 'sleep 300 & echo $! > {folder}/left; echo \'{{"connection": {{"protocol": "x"}}}}\''


def scripts(folder: Path, body: str) -> dict[str, Resource]:
    os.mkfifo(folder / "never")
    bad = folder / "bad.sh"
    bad.write_text(
        "#!/bin/sh\nquestion=$(cat)\n"
        f'case "$question" in *\'"action": "prepare"\'*) {body.format(folder=folder)};; esac\n'
    )
    good = folder / "good.sh"
    good.write_text('#!/bin/sh\necho \'{"connection": {"protocol": "x"}}\'\n')
    for script in (bad, good):
        script.chmod(0o755)
    entry = "driver: exec, kind: edge"
    return dict(
        parse_config(f"""
resources:
  static:
    bad: {{{entry}, time_limits: {{ready_up: 500ms}}, options: {{command: {bad}}}}}
    good: {{{entry}, options: {{command: {good}}}}}
""").resources
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (HANGS, "not done within 0.5 s"),
        (DIES, "was killed by SIGKILL"),
        (TALKS, "did not answer with JSON, but with: 'nonsense'"),
    ],
)
async def test_a_script_that_misbehaves_is_nobody_elses_trouble(
    lab: ScriptedLab, journal_file: Path, tmp_path: Path, body: str, words: str
) -> None:
    async with manager(lab.target, journal_file, load_driver, scripts(tmp_path, body)):
        session = await lab.session()
        await session.offer("h1", 1, "bad")
        await session.hear("accept", hold_id="h1")
        await works(session, "g1", 1, "good")
        assert words in (await session.hear("failed", hold_id="h1")).reason
        await session.release("h1", 2, "bad")
        await session.hear("cleaned", hold_id="h1")


async def test_one_slow_script_delays_no_other_one(
    lab: ScriptedLab, journal_file: Path, tmp_path: Path
) -> None:
    resources = scripts(tmp_path, HANGS.replace("never", "go"))
    os.mkfifo(tmp_path / "go")
    resources["bad"] = Resource(**{**fields(resources["bad"]), "time_limits": box().time_limits})
    async with manager(lab.target, journal_file, load_driver, resources):
        session = await lab.session()
        await session.offer("h1", 1, "bad")
        await session.hear("accept", hold_id="h1")
        for at in range(5):
            await works(session, f"g{at}", 2 * at + 1, "good")
        assert "failed" not in session.events()
        pipe = os.open(tmp_path / "go", os.O_RDWR | os.O_NONBLOCK)
        os.write(pipe, b"go\n")
        # It answers nothing once it goes on, which is no answer to `prepare`.
        assert "without a `connection`" in (await session.hear("failed", hold_id="h1")).reason
        os.close(pipe)


async def test_what_a_driver_left_running_does_not_keep_a_hold_waiting(
    lab: ScriptedLab, journal_file: Path, tmp_path: Path
) -> None:
    async with manager(lab.target, journal_file, load_driver, scripts(tmp_path, LINGERS)):
        session = await lab.session()
        await works(session, "h1", 1, "bad")
        left = int(await eventually(lambda: (tmp_path / "left").read_text()))
        os.kill(left, signal.SIGKILL)
