"""`hwp up`, with the real server for state and stand-ins for the services."""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from support.eventually import eventually
from support.redis_server import RedisServer

from .conftest import Up

Start = Callable[..., Up]


def redis_of(addresses: dict[str, str]) -> "Redis":
    path = urllib.parse.unquote(urllib.parse.urlsplit(addresses["redis"]).path)
    return Redis(unix_socket_path=path, decode_responses=True)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


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


async def test_what_was_written_survives_a_kill(start_up: Start) -> None:
    up = start_up()
    with redis_of(await up.ready()) as redis:
        for number in range(200):
            redis.set(f"key{number}", number)
        server = redis.info("server")["process_id"]
    pids = [server, *(up.pid_of(name) for name in ("allocate", "heartbeat", "manager"))]
    up.signal(signal.SIGKILL)
    up.process.wait()
    up.ports_file.unlink()
    # The next one waits until the server that was left behind has let go of the folder.
    again = start_up()
    with redis_of(await again.ready()) as redis:
        assert redis.dbsize() == 200
    await eventually(lambda: not any(map(is_alive, pids)))


async def test_the_server_is_set_up_to_lose_nothing_and_to_tell_of_expiry(start_up: Start) -> None:
    with redis_of(await start_up().ready()) as redis:
        assert redis.config_get("appendfsync") == {"appendfsync": "always"}
        assert redis.config_get("appendonly") == {"appendonly": "yes"}
        assert redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        flags = redis.config_get("notify-keyspace-events")["notify-keyspace-events"]
        assert set(flags) >= {"K", "x"}
        assert redis.config_get("port") == {"port": "0"}
        socket_path = redis.config_get("unixsocket")["unixsocket"]
    assert os.stat(socket_path).st_mode & 0o777 == 0o700


async def test_a_second_one_on_the_same_folder_is_refused(start_up: Start) -> None:
    up = start_up()
    await up.ready()
    # Its own file for addresses: it would remove the first one's.
    second = start_up("--write-ports", str(up.ports_file) + "2")
    assert await second.status() == 1
    assert f"in use by another `hwp up` (process {up.process.pid})" in up.said
    assert "--state-dir" in up.said


async def test_another_servers_files_are_refused(start_up: Start, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "server.json").write_text('{"family": "redis", "version": [99, 0, 0]}')
    up = start_up()
    assert await up.status() == 1
    assert "was written by redis 99.0.0" in up.said
    assert "HWP_REDIS_SERVER" in up.said


async def test_a_server_that_is_named_and_not_there_is_not_replaced(start_up: Start) -> None:
    up = start_up(HWP_REDIS_SERVER="/nowhere/redis-server")
    assert await up.status() == 1
    assert "HWP_REDIS_SERVER: /nowhere/redis-server is no program" in up.said
    assert "ways out" in up.said


async def test_a_dead_redis_is_waited_for_and_never_replaced(
    start_up: Start, tmp_path: Path
) -> None:
    server = RedisServer()
    try:
        up = start_up("--redis", server.url)
        await up.says(f"waiting for Redis at {server.url}")
        assert not (tmp_path / "state" / "server.json").exists()
        assert "allocate here" not in up.said
        server.start()
        addresses = await up.ready()
    finally:
        server.close()
    assert "redis" not in addresses
    assert f"state             Redis at {server.url}" in up.said
    assert f"redis {server.url}" in up.said


async def test_waiting_for_redis_can_be_given_up(start_up: Start) -> None:
    up = start_up(REDIS_HOST="127.0.0.1", REDIS_PORT="1", REDIS_PASSWORD="hush")
    await up.says("waiting for Redis at redis://:***@127.0.0.1:1/0")
    up.signal(signal.SIGINT)
    assert await up.status() == 0
    assert "hush" not in up.said


async def test_a_bad_redis_url_is_an_error(start_up: Start) -> None:
    up = start_up("--redis", "nonsense://x")
    assert await up.status() == 1
    assert "--redis=nonsense://x" in up.said


async def test_a_child_that_dies_is_started_again(start_up: Start) -> None:
    up = start_up()
    await up.ready()
    first = up.pid_of("allocate")
    os.kill(first, signal.SIGKILL)
    await up.says("allocate is back")
    assert "allocate was ended by SIGKILL; starting it again" in up.said
    assert up.pid_of("allocate") != first
    up.signal(signal.SIGTERM)
    assert await up.status() == 0


async def test_the_server_for_state_is_started_again_with_all_it_had(start_up: Start) -> None:
    up = start_up()
    addresses = await up.ready()
    with redis_of(addresses) as redis:
        redis.set("kept", "yes")
        os.kill(redis.info("server")["process_id"], signal.SIGKILL)
    await up.says("state is back")
    with redis_of(addresses) as redis:
        assert redis.get("kept") == "yes"


async def test_a_child_that_dies_thrice_at_its_start_ends_all(start_up: Start) -> None:
    up = start_up(STAND_IN_MANAGER="dies")
    assert await up.status() == 1
    assert up.said.count("manager ended with status 1; starting it again") == 2
    assert "manager does not stay up: it ended with status 1; its last lines:" in up.said
    assert "manager | no way" in up.said
    assert "allocate stops" in up.said


async def test_a_child_with_wrong_settings_is_tried_once(start_up: Start) -> None:
    up = start_up(STAND_IN_HEARTBEAT="refuses")
    assert await up.status() == 1
    assert "heartbeat does not stay up: it ended with status 78" in up.said
    assert "starting it again" not in up.said


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


async def test_a_missing_config_is_an_error(start_up: Start, tmp_path: Path) -> None:
    up = start_up("--config", str(tmp_path / "none.yml"))
    assert await up.status() == 1
    assert "--config: there is no file" in up.said


async def test_a_folder_too_deep_for_a_socket_works(start_up: Start, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    addresses = await start_up("--state-dir", str(deep)).ready()
    with redis_of(addresses) as redis:
        assert redis.ping()
    path = Path(urllib.parse.urlsplit(addresses["redis"]).path)
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_change_of_source_restarts_the_services(start_up: Start, tmp_path: Path) -> None:
    # A part of the namespace package that belongs to this test alone.
    part = tmp_path / "source" / "hwprovisioner"
    part.mkdir(parents=True)
    up = start_up("--reload", PYTHONPATH=str(part.parent))
    await up.ready()
    before = {name: up.pid_of(name) for name in ("allocate", "heartbeat", "manager")}

    def said_after_a_change() -> bool:
        (part / "part.py").write_text(f"# {os.urandom(8).hex()}\n")
        return "source changed (part.py): restarting" in up.said

    # Watching begins at some moment while everything starts.
    await eventually(said_after_a_change, within=20)
    for name, pid in before.items():
        await up.says(f"{name} is back")
        assert up.pid_of(name) != pid
    up.signal(signal.SIGTERM)
    assert await up.status() == 0


async def test_a_lock_that_is_left_behind_is_waited_for(start_up: Start, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
    # The id of a process that has ended: its server still has the lock.
    os.write(lock, b"999999999\n")
    fcntl.flock(lock, fcntl.LOCK_EX)
    up = start_up()
    await eventually(lambda: "/lock" in " ".join(open_files(up.process.pid)))
    assert up.process.poll() is None
    os.close(lock)
    await up.ready()


def open_files(pid: int) -> list[str]:
    folder = Path(f"/proc/{pid}/fd")
    found = []
    for each in folder.iterdir():
        with contextlib.suppress(OSError):
            found.append(os.readlink(each))
    return found


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


async def test_two_services_on_one_port_are_refused(start_up: Start) -> None:
    up = start_up("--port-allocate=4711", "--port-heartbeat=4711")
    assert await up.status() == 1
    assert "allocate and heartbeat cannot both have port 4711" in up.said
