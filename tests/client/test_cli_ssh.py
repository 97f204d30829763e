"""`hwp ssh` and `hwp cp` to a real sshd, through a real lab."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.resourcemanager import Connection
from support import sshd
from support.bench import Bench, bench
from support.eventually import eventually
from support.reachable import CHUNK
from support.user import LIMIT_S, Hwp, line_of, of_user


@pytest.fixture
def ssh_server(tmp_path: Path) -> Iterator[sshd.Sshd]:
    folder = tmp_path / "sshd"
    folder.mkdir()
    with sshd.running(folder) as server:
        yield server


@pytest.fixture
async def held(redis_url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(redis_url, tmp_path) as found:
        yield found


@pytest.fixture
def hwp(held: Bench, tmp_path: Path) -> Hwp:
    return of_user(held, tmp_path)


@pytest.fixture
async def ssh_hwp(
    redis_url: str, tmp_path: Path, ssh_server: sshd.Sshd
) -> AsyncIterator[tuple[Hwp, Bench, sshd.Sshd]]:
    connection = Connection(
        *("ssh", "127.0.0.1", ssh_server.port, ssh_server.user, str(ssh_server.key_file)),
        {"host_key": ssh_server.host_key},
    )
    async with bench(redis_url, tmp_path, connection=connection) as found:
        yield of_user(found, tmp_path / "a state"), found, ssh_server


async def test_ssh_runs_commands_and_gives_their_exit_code(
    ssh_hwp: tuple[Hwp, Bench, sshd.Sshd],
) -> None:
    hwp, _, _ = ssh_hwp
    ran = await hwp("ssh", "host", "--", "echo", "there; exit 3")
    assert (ran.code, ran.out) == (3, b"there\n"), ran.err
    data = os.urandom(3 * CHUNK)
    assert (await hwp("ssh", "host", "--", "cat", stdin=data)).out == data
    # As with ssh, what follows the host is the command, dashes and all.
    assert (await hwp("ssh", "host", "printf", "%s.", "-r", "--", "-l")).out == b"-r.--.-l."


async def test_the_key_that_the_lab_knows_is_the_only_one_that_counts(
    ssh_hwp: tuple[Hwp, Bench, sshd.Sshd],
) -> None:
    hwp, held, server = ssh_hwp
    known = Path(hwp.environment["XDG_STATE_HOME"]) / "hwprovisioner" / "known_hosts"
    assert (await hwp("ssh", "host", "--", "true")).code == 0
    assert known.read_text() == f"host.{held.asked.id} {server.host_key}\n"
    assert (await hwp("ssh", "host", "--", "true")).code == 0
    assert len(known.read_text().splitlines()) == 1
    # Only the key that the lab knows counts, whatever was in the file.
    other = (server.folder / "user.pub").read_text().split()[1]
    known.write_text(known.read_text().replace(server.host_key.split()[1], other))
    assert (await hwp("ssh", "host", "--", "true")).code == 0
    assert known.read_text() == f"host.{held.asked.id} {server.host_key}\n"


async def test_a_machine_that_has_another_key_than_the_lab_knows_is_not_logged_in_to(
    redis_url: str, tmp_path: Path, ssh_server: sshd.Sshd
) -> None:
    key = " ".join((ssh_server.folder / "user.pub").read_text().split()[:2])
    place = ("ssh", "127.0.0.1", ssh_server.port, ssh_server.user, str(ssh_server.key_file))
    connection = Connection(*place, {"host_key": key})
    async with bench(redis_url, tmp_path, connection=connection) as found:
        ran = await of_user(found, tmp_path)("ssh", "host", "--", "true")
        assert ran.code == 255
        assert "verification failed" in ran.err


async def test_files_are_copied_there_and_back(
    ssh_hwp: tuple[Hwp, Bench, sshd.Sshd], tmp_path: Path
) -> None:
    hwp, held, _ = ssh_hwp
    here, there, back = tmp_path / "here", tmp_path / "there", tmp_path / "back"
    here.mkdir()
    (here / "data").write_bytes(os.urandom(300_000))
    ran = await hwp("cp", "-r", str(here), f"{held.asked.id}/host:{there}")
    assert ran.code == 0, ran.err
    ran = await hwp("cp", f"host:{there}/data", str(back))
    assert ran.code == 0, ran.err
    assert back.read_bytes() == (here / "data").read_bytes()
    for words in (["a", "b"], ["host:a", "host:b"], ["host:a", "db:b", "c"], ["host:a"], []):
        assert (await hwp("cp", *words)).code == ExitCode.USAGE


async def test_names_of_files_need_no_quotes(
    ssh_hwp: tuple[Hwp, Bench, sshd.Sshd], tmp_path: Path
) -> None:
    hwp, _, _ = ssh_hwp
    here, there, back = tmp_path / "here", tmp_path / "there", tmp_path / "back"
    for folder in (here, there, back):
        folder.mkdir()
    names = ["a b", "it's", 'say "so"', "$(id)", "-dash", "co:lon", "häßlich", "semi;colon"]
    for name in names:
        (here / name).write_text(name)
    ran = await hwp("cp", *(f"{here}/{name}" for name in names), f"host:{there}/")
    assert ran.code == 0, ran.err
    ran = await hwp("cp", *(f"host:{there}/{name}" for name in names), str(back))
    assert ran.code == 0, ran.err
    assert {file.name: file.read_text() for file in back.iterdir()} == {n: n for n in names}


async def test_what_cannot_be_copied_is_said_to_be_so(
    ssh_hwp: tuple[Hwp, Bench, sshd.Sshd], tmp_path: Path
) -> None:
    hwp, _, _ = ssh_hwp
    (tmp_path / "file").write_text("as it was")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "in it").touch()
    for words, said in (
        (["{}/missing", "host:{}/x"], "/missing"),
        (["host:{}/missing", "{}/x"], "/missing: No such file or directory"),
        (["{}/file", "host:{}/no/folder/x"], '/no/folder/x": No such file or directory'),
        (["host:{}/file", "{}/no/folder/x"], '/no/folder/x": No such file or directory'),
        (["{}/file", "host:/sys/x"], '"/sys/x": Permission denied'),
        (["host:{}/file", "/sys/x"], '"/sys/x": Permission denied'),
        (["{}/folder", "host:{}/x"], "folder is a folder: -r copies those, too"),
        (["host:{}/folder", "{}/x"], "folder/: not a regular file"),
        (["-r", "host:{}/folder", "{}/file"], "/file/in it"),
        (["{}/file", "db:{}/x"], "has a host of that name"),
    ):
        ran = await hwp("cp", *(word.format(tmp_path) for word in words))
        assert ran.code != 0, words
        assert said in ran.err
        assert "Traceback" not in ran.err
        assert (tmp_path / "file").read_text() == "as it was"
        assert not (tmp_path / "x").exists()


async def test_a_host_without_sftp_takes_the_older_protocol(
    ssh_hwp: tuple[Hwp, Bench, sshd.Sshd], tmp_path: Path
) -> None:
    hwp, _, server = ssh_hwp
    settings = server.folder / "sshd_config"
    settings.write_text(settings.read_text().replace("Subsystem", "#"))
    server.stop()
    server.start()
    (tmp_path / "file").write_text("data")
    assert (await hwp("cp", f"{tmp_path}/file", f"host:{tmp_path}/x")).code != 0
    ran = await hwp("cp", "-O", f"{tmp_path}/file", f"host:{tmp_path}/x")
    assert ran.code == 0, ran.err
    assert (tmp_path / "x").read_text() == "data"


async def test_what_is_not_reached_by_ssh_is_said_to_be_so(hwp: Hwp) -> None:
    ran = await hwp("ssh", "host")
    assert ran.code == ExitCode.NOT_FOUND
    assert "is reached by 'tcp', not by ssh" in ran.err
    assert "hwp forward" in ran.err


async def test_the_token_is_in_no_process_list(
    ssh_hwp: tuple[Hwp, Bench, sshd.Sshd], tmp_path: Path
) -> None:
    hwp, held, _ = ssh_hwp
    seen = json.dumps(str(tmp_path / "seen"))
    look = f"cat /proc/[0-9]*/cmdline > {seen} 2>/dev/null; true"
    assert (await hwp("ssh", "host", "--", look)).code == 0
    commands = (tmp_path / "seen").read_bytes()
    assert b"ProxyCommand" in commands
    assert held.asked.token.encode() not in commands


async def test_what_runs_is_over_when_the_host_is_given_back(
    ssh_hwp: tuple[Hwp, Bench, sshd.Sshd],
) -> None:
    hwp, held, _ = ssh_hwp
    process = await hwp.start("ssh", "host", "--", "echo begun; exec sleep 600")
    assert await line_of(process.stdout) == "begun\n"
    await held.asked.release()
    async with asyncio.timeout(LIMIT_S):
        _, err = await process.communicate()
    assert process.returncode == 255
    assert b"RELEASED" in err
    await eventually(lambda: held.manager.agent.channels.count == 0)
