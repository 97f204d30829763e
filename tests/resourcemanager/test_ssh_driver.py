"""Driver `ssh` with a real sshd."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

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
from hwprovisioner.resourcemanager.loading import load_driver
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
        "cannot be reached": replace(access, port=1),
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
