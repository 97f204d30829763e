"""`hwp power` and `hwp forward`, as processes, through a real lab, and how a host is named."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hwprovisioner.client.commands.exit_codes import ExitCode
from hwprovisioner.resourcemanager.model import Power
from support.bench import Bench, bench
from support.reachable import CHUNK, TcpService, tcp_service
from support.user import Hwp, ended, line_of, of_user


@pytest.fixture
async def held(redis_url: str, tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(redis_url, tmp_path) as found:
        yield found


@pytest.fixture
def hwp(held: Bench, tmp_path: Path) -> Hwp:
    return of_user(held, tmp_path)


@pytest.fixture
async def echo() -> AsyncIterator[TcpService]:
    async with tcp_service() as service:
        yield service


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
    assert await ended(process) == ExitCode.CTRL_C


async def test_a_forward_ends_when_the_host_is_given_back(
    hwp: Hwp, held: Bench, echo: TcpService
) -> None:
    process = await hwp.start("forward", "host", f"0:{echo.port}")
    await line_of(process.stdout)
    await held.asked.release()
    assert "RELEASED" in await line_of(process.stderr)
    assert await ended(process) == ExitCode.LOST


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
