"""Driver `exec` with real scripts: the power, consoles and repair that they support."""

import asyncio
import json
import socket
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import ConfigError, DriverError, calls
from hwprovisioner.resourcemanager.model import Power, Traits
from support.exec_script import HOLD, Make, config


async def test_power_is_switched_by_the_script(script: Make, tmp_path: Path) -> None:
    driver = script(f"cat > {tmp_path}/question; echo switched >&2", ", supports: [power]")
    assert calls.traits(driver).has_power
    lines: list[str] = []
    await calls.power(driver, Power.CYCLE, HOLD, lines.append)
    question = json.loads((tmp_path / "question").read_text())
    assert (question["action"], question["power"]) == ("power", "cycle")
    assert question["hold"]["id"] == "h1"
    assert lines == ["switched"]


async def test_the_script_is_told_what_is_to_be_repaired(script: Make, tmp_path: Path) -> None:
    driver = script(f"cat > {tmp_path}/question", ", supports: [repair]")
    assert calls.traits(driver).has_repair
    await calls.repair(driver, "too hot", lambda line: None)
    question = json.loads((tmp_path / "question").read_text())
    assert (question["action"], question["trouble"]) == ("repair", "too hot")
    assert "hold" not in question


async def test_the_console_is_where_the_script_says(script: Make) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"login: " + await reader.readline())
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    answer = json.dumps({"console": {"address": "127.0.0.1", "port": port}})
    driver = script(f"echo '{answer}'", ", supports: [console]")
    assert calls.traits(driver).has_console
    async with server:
        reader, writer = await calls.console(driver, HOLD)
        writer.write(b"root\n")
        assert await reader.read() == b"login: root\n"
        writer.close()


async def test_a_console_that_does_not_answer_is_named(script: Make) -> None:
    # Bound, so that nobody else has it, and not listened to.
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        answer = json.dumps({"console": {"address": "127.0.0.1", "port": port}})
        driver = script(f"echo '{answer}'", ", supports: [console]")
        words = f"the console at 127.0.0.1:{port} does not answer: Connection refused"
        with pytest.raises(DriverError, match=words):
            await calls.console(driver, HOLD)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("{}", "answered without a `console`"),
        ('{"console": {"address": "", "port": 0}}', "console.address: .*; console.port: "),
    ],
)
async def test_a_console_that_is_none_is_explained(script: Make, answer: str, words: str) -> None:
    driver = script(f"echo '{answer}'", ", supports: [console]")
    with pytest.raises(DriverError, match=words):
        await calls.console(driver, HOLD)


async def test_a_script_is_not_asked_for_what_it_does_not_support(
    script: Make, tmp_path: Path
) -> None:
    driver = script(f"touch {tmp_path}/asked")
    assert calls.traits(driver) == Traits()
    with pytest.raises(DriverError, match="no power control"):
        await calls.power(driver, Power.ON, HOLD, lambda line: None)
    with pytest.raises(DriverError, match="no console"):
        await calls.console(driver, HOLD)
    with pytest.raises(DriverError, match="knows no repair"):
        await calls.repair(driver, "too hot", lambda line: None)
    assert not (tmp_path / "asked").exists()


def test_a_word_that_is_nothing_to_support_is_explained() -> None:
    with pytest.raises(ConfigError, match="supports"):
        config("x", ", supports: [flying]")
