"""`hwp up` and the services that it runs: what ends is started again, unless that is in vain."""

import os
import signal
from pathlib import Path

from support.eventually import eventually
from support.up import Start, redis_of


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
