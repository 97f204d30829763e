"""Driver `ssh` with a real sshd."""

import asyncio
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from hwprovisioner.resourcemanager import (
    Access,
    Connection,
    Driver,
    DriverError,
    Hold,
    Kind,
    Resource,
    calls,
)
from hwprovisioner.resourcemanager.config import parse_config
from hwprovisioner.resourcemanager.drivers._ssh_facts import parse
from hwprovisioner.resourcemanager.errors import ConfigError
from hwprovisioner.resourcemanager.loading import load_driver
from hwprovisioner.resourcemanager.model import Facts, Gpu, OperatingSystem, Power
from support import sshd
from support.eventually import eventually
from support.manager import manager
from support.scripted_lab import scripted_lab
from support.tcp_proxy import proxy_to

HOLD = Hold("h1", "refb", 7)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    with sshd.running(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def resource(server: sshd.Sshd, access: Access | None = None, **options: object) -> Resource:
    driver = load_driver("ssh")
    return Resource(
        name="refb",
        kind=Kind.PHYSICAL_SERVER,
        driver="ssh",
        access=access or reachable(server),
        options=driver.Options.model_validate(options),
        check_every_s=0.05,
    )


def reachable(server: sshd.Sshd) -> Access:
    return Access(
        "127.0.0.1", server.user, server.port, str(server.key_file), host_key=server.host_key
    )


def driver_for(server: sshd.Sshd, access: Access | None = None, **options: object) -> Driver:
    return load_driver("ssh")(resource(server, access, **options))


async def test_a_reachable_machine_is_healthy(server: sshd.Sshd) -> None:
    await calls.check(driver_for(server))


async def test_the_holder_is_told_how_to_reach_it(server: sshd.Sshd) -> None:
    connection = await calls.prepare(driver_for(server), HOLD, lambda line: None)
    assert connection == Connection(
        "ssh",
        "127.0.0.1",
        server.port,
        server.user,
        str(server.key_file),
        {"host_key": server.host_key},
    )


async def test_the_holder_is_told_all_keys_of_the_host_and_nothing_else(
    server: sshd.Sshd,
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519", "lab@refb").export_public_key().decode()
    scanned = f"# 127.0.0.1 SSH-2.0\n[127.0.0.1]:22 {server.host_key}\n{other}"
    access = replace(reachable(server), host_key=scanned)
    connection = await calls.prepare(driver_for(server, access), HOLD, lambda line: None)
    keys = [server.host_key, " ".join(other.split()[:2])]
    assert connection.properties["host_key"].splitlines() == keys


async def test_commands_run_in_order_and_are_reported(server: sshd.Sshd, tmp_path: Path) -> None:
    log = tmp_path / "log"
    driver = driver_for(
        server,
        ready_up=[f"echo one >> {log}", {"run": f"echo two | tee -a {log}; echo warn >&2"}],
        tear_down=[f"echo down >> {log}"],
        clean=[f"echo clean >> {log}"],
    )
    lines: list[str] = []
    await calls.prepare(driver, HOLD, lines.append)
    await calls.tear_down(driver, HOLD, lines.append)
    await calls.clean(driver, HOLD, lines.append)
    assert log.read_text().split() == ["one", "two", "down", "clean"]
    assert "two" in lines
    assert "warn" in lines
    assert lines[0] == f"$ echo one >> {log}"


async def test_commands_are_not_logged(server: sshd.Sshd, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    driver = driver_for(server, check=["test -n s3cr3t"], clean=["test -n s3cr3t"])
    await calls.check(driver)
    await calls.clean(driver, HOLD, lambda line: None)
    assert "s3cr3t" not in caplog.text


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("echo disk full >&2; exit 3", "ended with status 3: disk full"),
        ("kill -9 $$", "ended with signal KILL"),
        ({"run": "sleep 1000", "timeout": "200ms"}, "was not done within 0.2 s"),
        ("no-such-command", "no-such-command"),
    ],
)
async def test_a_command_that_fails_ends_the_list(
    server: sshd.Sshd, tmp_path: Path, command: object, words: str
) -> None:
    driver = driver_for(server, ready_up=[command, f"touch {tmp_path}/after"])
    with pytest.raises(DriverError) as caught:
        await calls.prepare(driver, HOLD, lambda line: None)
    assert words in str(caught.value)
    assert not (tmp_path / "after").exists()


@pytest.mark.parametrize("pty", [False, True])
async def test_a_cancelled_command_ends_on_the_machine(
    server: sshd.Sshd, tmp_path: Path, pty: bool
) -> None:
    driver = driver_for(server, ready_up=[{"run": says_pid(tmp_path), "pty": str(pty).lower()}])
    task = asyncio.create_task(calls.prepare(driver, HOLD, lambda line: None))
    pid = await pid_in(tmp_path)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: not Path(f"/proc/{pid}").exists())


async def test_a_command_ends_on_the_machine_when_its_manager_is_cut_off_or_killed(
    server: sshd.Sshd, tmp_path: Path
) -> None:
    # The end of a process looks the same from there: its connection is closed.
    async with proxy_to(server.port) as proxy:
        access = replace(reachable(server), port=proxy.port)
        driver = driver_for(server, access, ready_up=[says_pid(tmp_path)])
        task = asyncio.create_task(calls.prepare(driver, HOLD, lambda line: None))
        pid = await pid_in(tmp_path)
        proxy.cut()
        with pytest.raises(DriverError, match=r"connection (was )?lost"):
            await task
    await eventually(lambda: not Path(f"/proc/{pid}").exists())


def says_pid(folder: Path) -> str:
    return f"sleep 99 & echo $! > {folder}/new; mv {folder}/new {folder}/pid; wait"


async def pid_in(folder: Path) -> int:
    await eventually((folder / "pid").exists)
    return int((folder / "pid").read_text())


async def test_a_command_that_prints_without_end_is_read_away(server: sshd.Sshd) -> None:
    driver = driver_for(server, ready_up=["head -c 20000000 /dev/zero; echo; echo end"])
    lines: list[str] = []
    await calls.prepare(driver, HOLD, lines.append)
    assert lines[-1] == "end"


async def test_each_reason_that_it_cannot_be_reached_has_its_own_words(
    server: sshd.Sshd, tmp_path: Path
) -> None:
    access = reachable(server)
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
            await calls.check(driver_for(server, wrong))
        assert words in str(caught.value)


async def test_a_known_hosts_file_and_any_key_will_do(server: sshd.Sshd, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
    access = reachable(server)
    for trusting in (
        replace(access, host_key="", known_hosts=str(known)),
        replace(access, host_key="any"),
        replace(access, host_key=f"# a comment\n127.0.0.1 {server.host_key}"),
    ):
        await calls.check(driver_for(server, trusting))


async def test_a_machine_that_goes_away_is_withdrawn_and_comes_back(
    server: sshd.Sshd, tmp_path: Path
) -> None:
    async with (
        scripted_lab() as lab,
        manager(lab.target, tmp_path / "journal", None, {"refb": resource(server)}),
    ):
        session = await lab.session()
        await session.hear("volunteer")
        server.stop()
        try:
            withdraw = await session.hear("withdraw", resource="refb")
            assert "cannot be reached: " in withdraw.reason
        finally:
            server.start()
        await session.hear("volunteer")
        await session.offer("h1", 1, "refb")
        ready = await session.hear("ready", hold_id="h1")
        assert ready.connection.port == server.port


async def test_facts_are_those_that_the_machine_tells(server: sshd.Sshd) -> None:
    found = await calls.describe(driver_for(server))
    # The machine is this one.
    assert found.cpus
    assert found.memory_bytes == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert found.os is not None
    assert found.os.family == "linux"
    assert found.os.version
    assert found.os.kernel == os.uname().release


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("", Facts()),
        (
            "== system\nDarwin\n== kernel\n23.1\n== cpus\n10\n",
            Facts(cpus=10, os=OperatingSystem("darwin", "", "23.1", "23.1")),
        ),
        (
            "== system\nLinux\n== kernel\n6.1.0-18-amd64\n"
            '== release\nID=debian\nVERSION_ID="12"\n== nvidia\n'
            "Quadro RTX 4000, 8192\n== cards\n",
            Facts(
                os=OperatingSystem("linux", "debian", "12", "6.1.0-18-amd64"),
                gpus=(Gpu("nvidia", "rtx4000", 8192 * 1024**2),),
            ),
        ),
        (
            "== nvidia\nno driver\n== cards\n"
            '01:00.0 "VGA compatible controller" "NVIDIA Corporation" "AD104 [RTX 4070]" ""\n'
            '00:02.0 "VGA compatible controller" "Red Hat, Inc." "Virtio GPU" ""\n'
            '00:1f.0 "ISA bridge" "Intel Corporation" "C246" ""\n',
            Facts(gpus=(Gpu("nvidia", "rtx4070"),)),
        ),
        ("== cards\n", Facts(gpus=())),
        ("== cpus\nmany\n== memory\n-1\n", Facts()),
    ],
)
def test_what_a_machine_tells_is_read(text: str, facts: Facts) -> None:
    assert parse(text) == facts


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"check": ["echo card fell off >&2; exit 1"]}, "status 1: card fell off"),
        ({"disk_free": {"/": "1000TiB"}}, r"are free at /, 1e\+03 TiB are needed"),
        ({"disk_free": {"/no/such/place": "1MiB"}}, "cannot be found out"),
        ({"temperature": {"run": "echo 81.5", "below": "80"}}, "81.5 degrees, below 80 are needed"),
        ({"temperature": {"run": "echo nan", "below": "80"}}, "nan degrees"),
        ({"temperature": {"run": "echo warm", "below": "80"}}, "prints no number"),
    ],
)
async def test_a_machine_that_is_not_well_says_why(
    server: sshd.Sshd, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(DriverError, match=words):
        await calls.check(driver_for(server, **options))


async def test_a_machine_on_which_all_checks_succeed_is_well(server: sshd.Sshd) -> None:
    await calls.check(
        driver_for(
            server,
            check=["true", {"run": "true", "timeout": "10s"}],
            disk_free={"/": "1KiB"},
            temperature={"run": "echo temp: 45", "below": "80"},
        )
    )


async def test_power_and_console_are_programs_beside_it(server: sshd.Sshd, tmp_path: Path) -> None:
    log = tmp_path / "relay"
    relay = {word: ["sh", "-c", f"echo {word} >> {log}"] for word in ("on", "off")}
    driver = driver_for(server, power=relay, console=["sh", "-c", "echo login:; cat"])
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


async def test_a_relay_that_fails_says_why(server: sshd.Sshd) -> None:
    driver = driver_for(
        server, power={"on": "false", "off": ["sh", "-c", "echo stuck >&2; exit 2"]}
    )
    with pytest.raises(DriverError, match="sh ended with status 2: stuck"):
        await calls.power(driver, Power.CYCLE, HOLD, lambda line: None)
    plain = driver_for(server)
    assert (plain.has_power, plain.has_console, plain.has_repair) == (False, False, False)
    for call in (
        calls.power(plain, Power.ON, HOLD, lambda line: None),
        calls.console(plain, HOLD),
        calls.repair(plain, "x", lambda line: None),
    ):
        with pytest.raises(DriverError):
            await call


async def test_ports_are_reached_as_seen_from_the_machine(server: sshd.Sshd) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    driver = driver_for(server)
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


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("limits: {instances: 2}", "is for static resources"),
        ("options: {lent_user: 'a;b'}", "is no name of a user"),
    ],
)
def test_what_cannot_be_ephemeral_is_found_in_the_file(section: str, problem: str) -> None:
    which = "dynamic" if section.startswith("limits") else "static"
    text = f"""
resources:
  {which}:
    refb:
      driver: ssh
      access: {{host: refb, ephemeral: true}}
      {section}
"""
    with pytest.raises(ConfigError, match=problem):
        parse_config(text, "resources.yml", load_driver)


def test_a_user_is_lent_only_with_ephemeral_access() -> None:
    text = "resources: {static: {a: {driver: ssh, access: {host: a}, options: {lent_user: eve}}}}"
    with pytest.raises(ConfigError, match="means nothing without `ephemeral: true`"):
        parse_config(text, "resources.yml", load_driver)
