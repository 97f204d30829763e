"""Ephemeral access of driver `ssh`, with a real sshd and OpenSSH's own client."""

import asyncio
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hwprovisioner.resourcemanager import Access, DriverError, Hold, Kind, Resource, calls
from hwprovisioner.resourcemanager.driver import Driver
from hwprovisioner.resourcemanager.drivers import _ssh_machine
from hwprovisioner.resourcemanager.loading import load_driver
from hwprovisioner.resourcemanager.model import Connection
from support import needs, sshd
from support.eventually import eventually


@pytest.fixture
def server(tmp_path: Path) -> Iterator[sshd.Sshd]:
    folder = tmp_path / "sshd"
    folder.mkdir()
    with sshd.running(folder) as server:
        yield server


@pytest.fixture
def holder(tmp_path: Path) -> Path:
    return new_key(tmp_path / "holder")


def new_key(file: Path) -> Path:
    keygen = needs.program("ssh-keygen")
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", file, "-C", "a b"], check=True)
    return file


def hold(key: Path, fence: int = 7) -> Hold:
    return Hold(
        f"refb.{fence}", "refb", fence, ssh_public_key=key.with_suffix(".pub").read_text().strip()
    )


def driver_for(server: sshd.Sshd, name: str = "refb", **options: object) -> Driver:
    driver = load_driver("ssh")
    access = Access(
        "127.0.0.1", server.user, server.port, str(server.key_file), server.host_key, ephemeral=True
    )
    options = {"authorized_keys": str(keys_file(server)), **options}
    checked = driver.Options.model_validate(options)
    return driver(Resource(name, Kind.PHYSICAL_SERVER, "ssh", access=access, options=checked))


def keys_file(server: sshd.Sshd) -> Path:
    return server.folder / "authorized_keys"


def keys(server: sshd.Sshd) -> list[str]:
    return keys_file(server).read_text().splitlines()


def ssh(server: sshd.Sshd, key: Path, *words: str) -> list[str]:
    return [
        *(needs.program("ssh"), "-F", "none", "-i", str(key), "-p", str(server.port)),
        *("-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR"),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
        *(f"{server.user}@127.0.0.1", *words),
    ]


def is_let_in(server: sshd.Sshd, key: Path) -> bool:
    return subprocess.run(ssh(server, key, "true"), capture_output=True).returncode == 0


async def prepare(driver: Driver, hold: Hold) -> Connection:
    return await calls.prepare(driver, hold, lambda line: None)


async def give_back(driver: Driver, hold: Hold) -> None:
    await calls.tear_down(driver, hold, lambda line: None)
    await calls.clean(driver, hold, lambda line: None)


@contextmanager
def session(server: sshd.Sshd, key: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Log in as a holder does; the command says the first line when it runs."""
    command = ssh(server, key, *words)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def is_alive(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_a_holder_is_let_in_for_as_long_as_the_hold_lasts(
    server: sshd.Sshd, holder: Path
) -> None:
    driver, theirs = driver_for(server), hold(holder)
    before = keys(server)
    assert not is_let_in(server, holder)
    connection = await prepare(driver, theirs)
    assert (connection.key_file, connection.user) == ("", server.user)
    assert is_let_in(server, holder)
    assert [line.split()[-1] for line in keys(server)[1:]] == ["hwprovisioner:refb:refb.7"]
    await give_back(driver, theirs)
    assert not is_let_in(server, holder)
    assert keys(server) == before


async def test_other_lines_and_permissions_are_kept_and_twice_is_once(
    server: sshd.Sshd, holder: Path, tmp_path: Path
) -> None:
    file, real = keys_file(server), server.folder / "real"
    mine = file.read_text()
    others = '# a line\n\nno-pty ssh-rsa AAAA x\\y "$(id)"\nssh-rsa BBBB hwprovisioner:refb2:x.1'
    real.write_text(f"{mine}{others}")
    real.chmod(0o640)
    file.unlink()
    file.symlink_to(real)
    driver, theirs = driver_for(server), hold(holder)
    for _ in range(2):
        await prepare(driver_for(server), theirs)
        assert real.read_text().startswith(f"{mine}{others}\n")
        assert len(keys(server)) == len(f"{mine}{others}".splitlines()) + 1
    for _ in range(2):
        await give_back(driver, theirs)
        assert real.read_text() == f"{mine}{others}\n"
    assert file.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert not list(server.folder.glob("*.hwp.*"))


async def test_open_sessions_of_a_past_holder_are_cut_with_what_they_started(
    server: sshd.Sshd, holder: Path, tmp_path: Path
) -> None:
    driver, theirs = driver_for(server), hold(holder)
    await prepare(driver, theirs)
    noted = tmp_path / "pid"
    started = f"sleep 600 & echo $! > {noted}; echo up; wait"
    with session(server, holder, started) as running, forwarding(server, holder) as silent:
        child = noted.read_text().strip()
        assert is_alive(child)
        await give_back(driver, theirs)
        assert await asyncio.to_thread(running.wait, 10) != 0
        assert await asyncio.to_thread(silent.wait, 10) != 0
    await eventually(lambda: not is_alive(child))


@contextmanager
def forwarding(server: sshd.Sshd, key: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A connection without any session, as for ports that are forwarded."""
    command = ssh(server, key)
    command.insert(1, "-N")
    command[command.index("LogLevel=ERROR")] = "LogLevel=DEBUG"
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        while b"Entering interactive session" not in (line := process.stderr.readline()):
            assert line, "no connection"
        try:
            yield process
        finally:
            process.kill()


async def test_sessions_of_another_sshd_and_of_other_users_are_left_alone(
    server: sshd.Sshd, holder: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "other"
    elsewhere.mkdir()
    driver, theirs = driver_for(server), hold(holder)
    await prepare(driver, theirs)
    with (
        sshd.running(elsewhere) as other,
        session(other, other.key_file, "echo up; cat") as running,
    ):
        await give_back(driver, theirs)
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(b"still here\n")
        running.stdin.flush()
        assert await asyncio.to_thread(running.stdout.readline) == b"still here\n"


async def test_the_next_holder_finds_nobody_whose_manager_lost_their_hold(
    server: sshd.Sshd, holder: Path, tmp_path: Path
) -> None:
    await prepare(driver_for(server), hold(holder))
    with session(server, holder, "echo up; sleep 600") as running:
        following = new_key(tmp_path / "following")
        await prepare(driver_for(server), hold(following, 9))
        assert await asyncio.to_thread(running.wait, 10) != 0
    assert not is_let_in(server, holder)
    assert is_let_in(server, following)
    await give_back(driver_for(server), Hold("refb.9", "refb", 9))
    assert not is_let_in(server, following)


async def test_a_holder_without_a_key_is_told_what_to_do(server: sshd.Sshd) -> None:
    with pytest.raises(DriverError, match="none was sent: is `ssh-keygen` there"):
        await prepare(driver_for(server), Hold("refb.7", "refb", 7))


async def test_what_cannot_be_done_is_found_by_the_check(server: sshd.Sshd) -> None:
    await calls.check(driver_for(server))
    with pytest.raises(DriverError, match="there is no user nobody-here"):
        await calls.check(driver_for(server, lent_user="nobody-here"))


async def test_another_user_is_lent_by_a_manager_that_may(
    server: sshd.Sshd, holder: Path, tmp_path: Path
) -> None:
    if server.user != "root":
        needs.missing("root")
    file = tmp_path / "new" / "keys"
    driver = driver_for(server, lent_user="daemon", authorized_keys=str(file))
    connection = await prepare(driver, hold(holder))
    assert connection.user == "daemon"
    assert (file.owner(), file.parent.owner()) == ("daemon", "daemon")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    await give_back(driver, hold(holder))
    assert file.read_text() == ""


async def test_sessions_that_outlived_their_sshd_are_cut(server: sshd.Sshd, holder: Path) -> None:
    driver, theirs = driver_for(server), hold(holder)
    await prepare(driver, theirs)
    with session(server, holder, "echo up; sleep 600") as running:
        server.stop()
        server.start()
        assert running.poll() is None
        await give_back(driver, theirs)
        assert await asyncio.to_thread(running.wait, 10) != 0


async def test_a_machine_that_does_not_answer_is_cleaned_from_outside_and_nobody_stays_in(
    server: sshd.Sshd, holder: Path, tmp_path: Path
) -> None:
    asked, log = tmp_path / "asked", tmp_path / "log"
    driver = driver_for(
        server,
        tear_down=[f"echo torn down >> {log}", {"manager": ["sh", "-c", f"echo beside >> {log}"]}],
        clean=[
            {"manager": ["touch", str(asked)]},
            f"grep -c hwprovisioner {keys_file(server)} >> {log}; true",
        ],
    )
    theirs = hold(holder)
    await prepare(driver, theirs)
    lines: list[str] = []
    with session(server, holder, "echo up; sleep 600") as running:
        server.stop()
        await calls.tear_down(driver, theirs, lines.append)
        cleaning = asyncio.create_task(calls.clean(driver, theirs, lines.append))
        await eventually(asked.exists)
        assert is_in(server, "hwprovisioner:refb:refb.7")
        server.start()
        await cleaning
        assert await asyncio.to_thread(running.wait, 10) != 0
    assert not is_let_in(server, holder)
    # What is done on the machine is done when nobody is in any more.
    assert log.read_text() == "beside\n0\n"
    assert any(
        line.startswith("what cannot be reached is left to its cleaning: ") for line in lines
    )
    assert any(line.startswith("whoever is in is let out later: ") for line in lines)


def is_in(server: sshd.Sshd, mark: str) -> bool:
    return any(line.endswith(mark) for line in keys(server))


async def test_a_machine_that_stays_away_is_not_clean_though_its_steps_were_taken(
    server: sshd.Sshd, holder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_ssh_machine, "_BACK_S", 0.5)
    driver, theirs = driver_for(server, clean=[{"manager": "true"}]), hold(holder)
    await prepare(driver, theirs)
    server.stop()
    with pytest.raises(DriverError, match=r"does not answer after true within 0\.5 s"):
        await calls.clean(driver, theirs, lambda line: None)
    server.start()
    await calls.clean(driver, theirs, lambda line: None)
    assert not is_let_in(server, holder)


async def test_whoever_cannot_be_let_out_is_let_out_once_that_was_mended_from_outside(
    server: sshd.Sshd, holder: Path, tmp_path: Path
) -> None:
    # The machine answers, but its file of keys cannot be written.
    folder = tmp_path / "keys"
    folder.mkdir()
    file = folder / "authorized_keys"
    broken = tmp_path / "broken"
    options: dict[str, Any] = {"authorized_keys": str(file), "tear_down": ["exit 1"]}
    mend = {"manager": ["sh", "-c", f"rmdir {file}; mv {broken} {file}"]}
    theirs = hold(holder)
    await prepare(driver_for(server, **options), theirs)
    file.rename(broken)
    file.mkdir()
    (file / "full").touch()
    for call in (calls.tear_down, calls.clean):
        with pytest.raises(DriverError, match="its holder cannot be let out: "):
            await call(driver_for(server, **options), theirs, lambda line: None)
    (file / "full").unlink()
    mended = driver_for(server, **options, clean=[mend])
    await give_back(mended, theirs)
    assert file.read_text() == ""


@pytest.mark.parametrize("clean", [[], ["true"], ["true", {"manager": "true"}]])
async def test_without_a_way_from_outside_it_is_said_that_it_cannot_be_reached(
    server: sshd.Sshd, holder: Path, clean: list[object]
) -> None:
    driver, theirs = driver_for(server, clean=clean), hold(holder)
    await prepare(driver, theirs)
    server.stop()
    for call in (calls.tear_down, calls.clean):
        with pytest.raises(DriverError, match="cannot be reached"):
            await call(driver, theirs, lambda line: None)
