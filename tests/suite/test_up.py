"""`hwp up`, with stand-ins for the services: what it starts, says and stops."""

import asyncio
import signal
import socket
import sys

import pytest

from support.processes import is_alive
from support.up import Start, redis_of


async def test_it_says_where_everything_listens_and_what_to_try(start_up: Start) -> None:
    up = start_up()
    addresses = await up.ready()
    await up.says("grpcurl -plaintext")
    for name in ("allocate", "heartbeat", "manager"):
        assert addresses[name] in up.out.read_text()
    assert f"ALLOCATE_API={addresses['allocate']}" in up.out.read_text()
    assert addresses["pid"] == str(up.process.pid)


async def test_children_are_told_where_redis_is_but_for_the_manager(start_up: Start) -> None:
    up = start_up()
    addresses = await up.ready()
    said = up.err.read_text()
    assert f"redis {addresses['redis']}" in next(
        line for line in said.splitlines() if "allocate here" in line
    )
    assert "redis unknown" in next(line for line in said.splitlines() if "manager here" in line)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_stops_all_in_order(start_up: Start, how: signal.Signals) -> None:
    up = start_up()
    addresses = await up.ready()
    with redis_of(addresses) as redis:
        state = redis.info("server")["process_id"]
    up.signal(how)
    assert await up.status() == 0
    stops = [line.split("|")[1].strip() for line in up.said.splitlines() if line.endswith("stops")]
    assert stops == ["manager stops", "allocate stops", "heartbeat stops"]
    assert not is_alive(state)
    assert not up.ports_file.exists()


async def test_a_second_ctrl_c_does_not_wait(start_up: Start) -> None:
    up = start_up(STAND_IN_MANAGER="deaf")
    await up.ready()
    pid = up.pid_of("manager")
    up.signal(signal.SIGINT)
    await up.says("stopping; Ctrl-C again stops at once")
    up.signal(signal.SIGINT)
    await up.says("stopping at once")
    assert await up.status() == 130
    assert not is_alive(pid)


async def test_a_port_in_use_names_the_option(start_up: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        up = start_up(f"--port-heartbeat={port}")
        assert await up.status() == 1
    assert f"heartbeat cannot listen on 127.0.0.1:{port}: somebody else listens there" in up.said
    assert "--port-heartbeat" in up.said


async def test_without_a_manager_none_is_run(start_up: Start) -> None:
    up = start_up("--no-manager")
    assert "manager" not in await up.ready()
    assert "manager here" not in up.said


async def test_a_client_without_the_server_side_says_what_to_install() -> None:
    script = "import sys; sys.modules['hwprovisioner.serving'] = None\n"
    script += "from hwprovisioner.client.cli import main; main(['up'])"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    assert process.returncode == 1
    assert b"pip install 'hardware-provisioner[suite]'" in err


async def test_it_can_listen_on_all_interfaces(start_up: Start) -> None:
    up = start_up(HWP_BIND="0.0.0.0")
    addresses = await up.ready()
    assert addresses["allocate"].startswith("127.0.0.1:")
    assert f"allocate          0.0.0.0:{addresses['allocate'].split(':')[1]}" in up.said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--config", "/no/such.yml"], "--config: there is no file"),
        (["--redis", "nonsense://x"], "--redis=nonsense://x"),
        (
            ["--port-allocate=4711", "--port-heartbeat=4711"],
            "allocate and heartbeat cannot both have port 4711",
        ),
    ],
)
async def test_what_cannot_be_is_refused(start_up: Start, arguments: list[str], words: str) -> None:
    up = start_up(*arguments)
    assert await up.status() == 1
    assert words in up.said
