"""`hwp up` and its state: what was written survives, in a folder that one run has at a time."""

import contextlib
import fcntl
import os
import signal
import urllib.parse
from pathlib import Path

from support.eventually import eventually
from support.processes import is_alive
from support.up import Start, redis_of


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


async def test_a_folder_too_deep_for_a_socket_works(start_up: Start, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    addresses = await start_up("--state-dir", str(deep)).ready()
    with redis_of(addresses) as redis:
        assert redis.ping()
    path = Path(urllib.parse.urlsplit(addresses["redis"]).path)
    assert path.parent.stat().st_mode & 0o777 == 0o700


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
