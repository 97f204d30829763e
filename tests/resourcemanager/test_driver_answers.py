"""What drivers answer is checked: nonsense is no connection, facts, names or abilities."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from hwprovisioner.resourcemanager import Connection, DriverError, Facts, Hold, Report, calls
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import Gpu, Instance, Makes, OperatingSystem, Traits
from support.manager import Hardware, box, manager
from support.misbehaving import misbehaving, two, works
from support.scripted_lab import ScriptedLab


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
