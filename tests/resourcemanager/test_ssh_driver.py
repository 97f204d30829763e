"""Driver `ssh` with a real sshd: how it is reached, by the manager and by holders."""

import asyncio
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from hwprovisioner.resourcemanager import Connection, DriverError, calls
from hwprovisioner.resourcemanager.model import Power
from support.manager import manager
from support.scripted_lab import scripted_lab
from support.ssh_driver import HOLD, driver_for, reachable, resource
from support.sshd import Sshd


async def test_a_reachable_machine_is_healthy(ssh_server: Sshd) -> None:
    await calls.check(driver_for(ssh_server))


async def test_the_holder_is_told_how_to_reach_it(ssh_server: Sshd) -> None:
    connection = await calls.prepare(driver_for(ssh_server), HOLD, lambda line: None)
    assert connection == Connection(
        "ssh",
        "127.0.0.1",
        ssh_server.port,
        ssh_server.user,
        str(ssh_server.key_file),
        {"host_key": ssh_server.host_key},
    )


async def test_the_holder_is_told_all_keys_of_the_host_and_nothing_else(
    ssh_server: Sshd,
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519", "lab@refb").export_public_key().decode()
    scanned = f"# 127.0.0.1 SSH-2.0\n[127.0.0.1]:22 {ssh_server.host_key}\n{other}"
    access = replace(reachable(ssh_server), host_key=scanned)
    connection = await calls.prepare(driver_for(ssh_server, access), HOLD, lambda line: None)
    keys = [ssh_server.host_key, " ".join(other.split()[:2])]
    assert connection.properties["host_key"].splitlines() == keys


async def test_each_reason_that_it_cannot_be_reached_has_its_own_words(
    ssh_server: Sshd, tmp_path: Path
) -> None:
    access = reachable(ssh_server)
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    stranger.write_private_key(tmp_path / "other")
    other = stranger.export_public_key().decode()
    (tmp_path / "empty").touch()
    (tmp_path / "junk").write_text("no key")
    expected = {
        "cannot be reached: Connection refused": replace(access, port=1),
        "is not trusted": replace(access, host_key=other),
        "ssh-keyscan -p": replace(access, host_key="", known_hosts=str(tmp_path / "empty")),
        "does not let": replace(access, key_file=str(tmp_path / "other")),
        "cannot be used: No such file": replace(access, key_file=str(tmp_path / "nowhere")),
        "cannot be used": replace(access, key_file=str(tmp_path / "junk")),
    }
    for words, wrong in expected.items():
        with pytest.raises(DriverError) as caught:
            await calls.check(driver_for(ssh_server, wrong))
        assert words in str(caught.value)


async def test_a_known_hosts_file_and_any_key_will_do(ssh_server: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{ssh_server.port} {ssh_server.host_key}\n")
    access = reachable(ssh_server)
    for trusting in (
        replace(access, host_key="", known_hosts=str(known)),
        replace(access, host_key="any"),
        replace(access, host_key=f"# a comment\n127.0.0.1 {ssh_server.host_key}"),
    ):
        await calls.check(driver_for(ssh_server, trusting))


async def test_a_machine_that_goes_away_is_withdrawn_and_comes_back(
    ssh_server: Sshd, tmp_path: Path
) -> None:
    async with (
        scripted_lab() as lab,
        manager(lab.target, tmp_path / "journal", None, {"refb": resource(ssh_server)}),
    ):
        session = await lab.session()
        await session.hear("volunteer")
        ssh_server.stop()
        try:
            withdraw = await session.hear("withdraw", resource="refb")
            assert "cannot be reached: " in withdraw.reason
        finally:
            ssh_server.start()
        await session.hear("volunteer")
        await session.offer("h1", 1, "refb")
        ready = await session.hear("ready", hold_id="h1")
        assert ready.connection.port == ssh_server.port


async def test_power_and_console_are_programs_beside_it(ssh_server: Sshd, tmp_path: Path) -> None:
    log = tmp_path / "relay"
    relay = {word: ["sh", "-c", f"echo {word} >> {log}"] for word in ("on", "off")}
    driver = driver_for(ssh_server, power=relay, console=["sh", "-c", "echo login:; cat"])
    assert driver.has_power
    assert driver.has_repair
    for action in (Power.ON, Power.OFF, Power.CYCLE):
        await calls.power(driver, action, HOLD, lambda line: None)
    await calls.repair(driver, "it does not answer", lambda line: None)
    assert log.read_text().split() == ["on", "off", "off", "on", "off", "on"]
    reader, writer = await calls.console(driver, HOLD)
    assert await reader.read(100) == b"login:\n"
    writer.write(b"root\n")
    await writer.drain()
    assert await reader.read(100) == b"root\n"
    writer.close()
    assert await reader.read(100) == b""


async def test_a_relay_that_fails_says_why(ssh_server: Sshd) -> None:
    driver = driver_for(
        ssh_server, power={"on": "false", "off": ["sh", "-c", "echo stuck >&2; exit 2"]}
    )
    with pytest.raises(DriverError, match="sh ended with status 2: stuck"):
        await calls.power(driver, Power.CYCLE, HOLD, lambda line: None)
    plain = driver_for(ssh_server)
    assert (plain.has_power, plain.has_console, plain.has_repair) == (False, False, False)
    for call in (
        calls.power(plain, Power.ON, HOLD, lambda line: None),
        calls.console(plain, HOLD),
        calls.repair(plain, "x", lambda line: None),
    ):
        with pytest.raises(DriverError):
            await call


async def test_ports_are_reached_as_seen_from_the_machine(ssh_server: Sshd) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    driver = driver_for(ssh_server)
    connection = await calls.prepare(driver, HOLD, lambda line: None)
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        reader, writer = await calls.dial(driver, HOLD, connection, port)
        writer.write(b"ping" * 100_000)
        await writer.drain()
        writer.write_eof()
        got = b""
        while data := await reader.read(65_536):
            got += data
        assert got == b"ping" * 100_000
        writer.close()
    with pytest.raises(DriverError, match=f"port {port} does not answer"):
        await calls.dial(driver, HOLD, connection, port)
