"""`hwp power`, `console`, `forward`, `ssh` and `cp`, as processes, through a real lab."""

import asyncio
import contextlib
import json
import os
import pty
import signal
import sys
import termios
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.client.commands.own_allocations import OwnAllocations
from hwprovisioner.resourcemanager import Connection
from hwprovisioner.resourcemanager.model import Power
from support import sshd
from support.bench import Bench, bench
from support.eventually import eventually
from support.reachable import CHUNK, TcpService, tcp_service

LIMIT_S = 30.0
HWP = (sys.executable, "-m", "hwprovisioner.client.cli")


@dataclass
class Ran:
    code: int
    out: bytes
    err: str


@dataclass
class Hwp:
    """The command, for a user who has allocated the machine here."""

    environment: dict[str, str]

    async def start(
        self,
        *words: str,
        stdin: int = asyncio.subprocess.DEVNULL,
        environment: Mapping[str, str] | None = None,
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(*HWP, *words),
            env={**self.environment, **(environment or {})},
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def __call__(
        self, *words: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None
    ) -> Ran:
        process = await self.start(*words, stdin=asyncio.subprocess.PIPE, environment=environment)
        async with asyncio.timeout(LIMIT_S):
            out, err = await process.communicate(stdin)
        assert process.returncode is not None
        assert b"Traceback" not in err
        return Ran(process.returncode, out, err.decode())


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


def of_user(held: Bench, state: Path) -> Hwp:
    environment = {name: each for name, each in os.environ.items() if not name.startswith("HWP_")}
    environment |= {"ALLOCATE_API": held.services[0].target, "XDG_STATE_HOME": str(state)}
    OwnAllocations.of_user(environment).add(held.asked.id, held.asked.token)
    return Hwp(environment)


@pytest.fixture
def hwp(held: Bench, tmp_path: Path) -> Hwp:
    return of_user(held, tmp_path)


@pytest.fixture
async def echo() -> AsyncIterator[TcpService]:
    async with tcp_service() as service:
        yield service


async def line_of(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    async with asyncio.timeout(LIMIT_S):
        return (await stream.readline()).decode()


# Which host.


async def test_power(hwp: Hwp, held: Bench) -> None:
    for word in (f"{held.asked.id}/host", f"{held.asked.id}/", held.asked.id, "host"):
        ran = await hwp("power", "cycle", word)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.decode() == f"{held.asked.id}/host was switched off and on\n"
    assert held.machine.switched == [Power.CYCLE] * 4


async def test_within_a_run_the_host_s_name_is_enough(hwp: Hwp, held: Bench) -> None:
    inside = {"HWP_ALLOCATION_ID": held.asked.id, "HWP_TOKEN": held.asked.token}
    inside["XDG_STATE_HOME"] = "/nowhere"
    assert (await hwp("power", "on", "host", environment=inside)).code == 0
    ran = await hwp("power", "on", "db", environment=inside)
    assert ran.code == ExitCode.NOT_FOUND
    assert "has no host 'db'; it has host" in ran.err


async def test_with_a_token_the_allocation_is_enough(hwp: Hwp, held: Bench) -> None:
    nobody = {"XDG_STATE_HOME": "/nowhere"}
    token = held.asked.token
    assert (await hwp("power", "on", held.asked.id, "--token", token, environment=nobody)).code == 0
    ran = await hwp("power", "on", f"{held.asked.id}/host", environment=nobody)
    assert ran.code == ExitCode.NOT_ALLOWED
    assert "--token or HWP_TOKEN" in ran.err
    ran = await hwp("power", "on", held.asked.id, "--token", "another", environment=nobody)
    assert ran.code == ExitCode.NOT_ALLOWED
    assert len(held.machine.switched) == 1


async def test_a_name_that_nothing_has(hwp: Hwp, held: Bench) -> None:
    ran = await hwp("power", "on", "db")
    assert ran.code == ExitCode.NOT_FOUND
    assert "write ALLOCATION/HOST" in ran.err
    await held.asked.release()
    ran = await hwp("power", "on", f"{held.asked.id}/host")
    assert ran.code == ExitCode.LOST
    assert "RELEASED" in ran.err


async def test_what_the_driver_says_is_shown(hwp: Hwp, held: Bench) -> None:
    held.machine.trouble = "the relay is stuck"
    ran = await hwp("power", "off", "host")
    assert (ran.code, ran.out) == (ExitCode.ERROR, b"")
    assert ran.err == "hwp: power off: the relay is stuck\n"
    held.machine.has_console = False
    assert "box has no console" in (await hwp("console", "host")).err


# Forward.


async def test_a_local_port_leads_to_one_of_the_host(
    hwp: Hwp, held: Bench, echo: TcpService
) -> None:
    process = await hwp.start("forward", "host", f":{echo.port}")
    said = await line_of(process.stdout)
    address, _, rest = said.partition(" -> ")
    assert rest == f"{held.asked.id}/host:{echo.port}\n"
    reader, writer = await asyncio.open_connection(*address.split(":"))
    data = os.urandom(2**20)
    writer.write(data)
    writer.write_eof()
    assert await reader.read(-1) == data
    writer.close()
    process.send_signal(signal.SIGINT)
    assert await process.wait() == ExitCode.CTRL_C


async def test_a_forward_ends_when_the_host_is_given_back(
    hwp: Hwp, held: Bench, echo: TcpService
) -> None:
    process = await hwp.start("forward", "host", f"0:{echo.port}")
    await line_of(process.stdout)
    await held.asked.release()
    assert "RELEASED" in await line_of(process.stderr)
    assert await process.wait() == ExitCode.LOST


async def test_a_local_port_that_is_taken_and_ports_that_are_none(
    hwp: Hwp, echo: TcpService
) -> None:
    ran = await hwp("forward", "host", str(echo.port))
    assert ran.code == ExitCode.ERROR
    assert f"cannot listen on 127.0.0.1:{echo.port}" in ran.err
    for word in ("x", "0", "1:", "1:65536", "-1"):
        assert (await hwp("forward", "host", "--", word)).code == ExitCode.USAGE


async def test_stdin_and_stdout_are_a_connection(hwp: Hwp, echo: TcpService) -> None:
    data = os.urandom(5 * CHUNK + 1)
    ran = await hwp("forward", "--stdio", "host", str(echo.port), stdin=data)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == data


async def test_a_connection_that_cannot_be_made_says_why(hwp: Hwp) -> None:
    async with tcp_service() as gone:
        pass
    ran = await hwp("forward", "--stdio", "host", str(gone.port))
    assert ran.code == ExitCode.ERROR
    assert f"127.0.0.1:{gone.port} does not answer" in ran.err


# Console.


@dataclass
class Terminal:
    """Where a person sits, and the command that runs there."""

    file: int
    process: asyncio.subprocess.Process
    before: list[object]
    shown: bytes = b""

    def attributes(self) -> list[object]:
        return termios.tcgetattr(self.file)

    async def sees(self, words: bytes) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(LIMIT_S):
            while words not in self.shown:
                self.shown += await loop.run_in_executor(None, os.read, self.file, CHUNK)

    def type(self, keys: bytes) -> None:
        os.write(self.file, keys)


@contextlib.asynccontextmanager
async def terminal(hwp: Hwp, *words: str) -> AsyncIterator[Terminal]:
    ours, theirs = pty.openpty()
    try:
        before = termios.tcgetattr(ours)
        process = await asyncio.create_subprocess_exec(
            *(*HWP, *words),
            env=hwp.environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        yield Terminal(ours, process, before)
        if process.returncode is None:
            process.kill()
            await process.wait()
    finally:
        os.close(ours)
        os.close(theirs)


async def test_a_console_takes_every_key_until_the_one_that_leaves(hwp: Hwp, held: Bench) -> None:
    async with terminal(hwp, "console", "host") as seat:
        await seat.sees(b"Ctrl-] leaves")
        await seat.sees(b"login: ")
        assert seat.attributes() != seat.before
        seat.type(b"abc\x03\x04\x1a")
        await seat.sees(b"ABC\x03\x04\x1a")
        seat.type(b"last\x1dnot sent")
        assert await seat.process.wait() == 0
        assert seat.attributes() == seat.before
        await seat.sees(b"left the console")
    await held.nothing_is_left()


async def test_another_key_leaves_if_one_says_so(hwp: Hwp) -> None:
    async with terminal(hwp, "console", "--escape", "^a", "host") as seat:
        await seat.sees(b"Ctrl-A leaves")
        await seat.sees(b"login: ")
        seat.type(b"x\x1dy")
        await seat.sees(b"X\x1dY")
        seat.type(b"\x01")
        assert await seat.process.wait() == 0
    assert (await hwp("console", "--escape", "a", "host")).code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, ExitCode.TERMINATED), (signal.SIGHUP, ExitCode.TERMINATED)],
)
async def test_a_signal_leaves_the_terminal_as_it_was(
    hwp: Hwp, number: signal.Signals, code: ExitCode
) -> None:
    async with terminal(hwp, "console", "host") as seat:
        await seat.sees(b"login: ")
        assert seat.attributes() != seat.before
        seat.process.send_signal(number)
        assert await seat.process.wait() == code
        assert seat.attributes() == seat.before


async def test_the_end_of_the_hold_leaves_the_terminal_as_it_was(hwp: Hwp, held: Bench) -> None:
    async with terminal(hwp, "console", "host") as seat:
        await seat.sees(b"login: ")
        await held.asked.release()
        assert await seat.process.wait() == ExitCode.LOST
        assert seat.attributes() == seat.before
        await seat.sees(b"is lost (RELEASED)")


async def test_without_a_terminal_stdin_is_typed_and_stdout_shows(hwp: Hwp, held: Bench) -> None:
    ran = await hwp("console", "host", stdin=b"root\x1d\r")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == b"login: ROOT\x1d\r"
    await held.nothing_is_left()


# ssh.


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
    for words in (["a", "b"], ["host:a", "host:b"], ["host:a", "db:b", "c"]):
        assert (await hwp("cp", *words)).code == ExitCode.USAGE


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
