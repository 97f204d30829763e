"""Driver `docker` with a real engine: containers as their holders find them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hwprovisioner.resourcemanager import Connection, DriverError, Share, calls
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import Power
from support.conformance import LIMIT_S
from support.docker_box import MIB, NOBODY, built, docker, driver, held, hold, run
from support.docker_image import busybox
from support.eventually import eventually
from support.manager import manager
from support.scripted_lab import scripted_lab

pytestmark = [pytest.mark.timeout(LIMIT_S), pytest.mark.xdist_group("docker")]
#: Answers each line with the same line.
ECHO = "nc -ll -p 7007 -e cat"


@pytest.fixture(scope="module")
def image() -> str:
    return busybox()


async def test_a_share_is_a_limit(image: str) -> None:
    async with held(driver(image), hold(share=Share(1, 64 * MIB))) as connection:
        limits = json.loads(docker("inspect", connection.properties["container"]))[0]["HostConfig"]
        assert (limits["NanoCpus"], limits["Memory"]) == (10**9, 64 * MIB)
        fill = "x=0123456789abcdef; while :; do x=$x$x; done"
        killed = f"sh -c '{fill}'; echo ended with $?"
        assert await run(connection, killed) == "ended with 137"


async def test_commands_run_where_and_as_whom_the_options_say(image: str) -> None:
    options = "command: [sleep, '1000'], user: '1234', environment: {COLOUR: blue green}"
    async with held(driver(image, options), hold()) as connection:
        assert await run(connection, "echo $(id -u) $COLOUR") == "1234 blue green"
        assert await run(connection, ["echo", "$COLOUR"]) == "$COLOUR"


async def test_a_demand_names_its_image_and_learns_which_there_are(image: str) -> None:
    docker("tag", image, "hwp-test/second:1")
    try:
        maker = driver(f'{image}", "hwp-test/second:1')
        assert maker.makes is not None
        assert maker.makes.images == (image, "hwp-test/second:1")
        async with held(maker, hold(image="hwp-test/second:1")) as connection:
            seen = docker(
                "inspect", "--format", "{{.Config.Image}}", connection.properties["container"]
            )
            assert seen.strip() == "hwp-test/second:1"
        with pytest.raises(DriverError, match="no image 'hwp-test/secnd:1'; did you mean"):
            await calls.prepare(maker, hold(image="hwp-test/secnd:1"), NOBODY)
    finally:
        docker("rmi", "hwp-test/second:1")


async def test_a_container_with_a_health_check_is_ready_once_that_succeeds(image: str) -> None:
    with built(image, "HEALTHCHECK --interval=1s --retries=1 CMD test -e /tmp/up") as checked:
        maker = driver(checked, "command: sh -c 'sleep 0.3; touch /tmp/up; exec sleep 1000'")
        lines: list[str] = []
        try:
            await calls.prepare(maker, hold(), lines.append)
            assert "waiting for the container's health check" in lines
        finally:
            await calls.clean(maker, hold(), NOBODY)
    with built(image, "HEALTHCHECK --interval=1s --retries=1 CMD echo no clock; exit 1") as sick:
        with pytest.raises(DriverError, match="health check fails: no clock"):
            async with held(driver(sick), hold()):
                pass
        await calls.clean(driver(sick), hold(), NOBODY)


async def test_a_port_of_a_container_is_dialled_from_here(image: str) -> None:
    maker = driver(image, f"command: {ECHO}")
    async with held(maker, hold()) as connection:
        reader, writer = await eventually(lambda: dialled(maker, connection))
        writer.write(b"hello\n")
        await writer.drain()
        assert await reader.read(100) == b"hello\n"
        writer.close()
    with pytest.raises(DriverError, match=r"container hwp-box\.1 is gone"):
        await maker.dial(hold(), connection, 7007)
    alone = driver(image, f"command: {ECHO}, network: none")
    async with held(alone, hold()) as connection:
        assert not connection.address
        with pytest.raises(DriverError, match="no address of its own on network 'none'"):
            await alone.dial(hold(), connection, 7007)


async def dialled(maker: Maker, connection: Connection) -> object:
    """Return a channel once the server in the container listens."""
    try:
        return await maker.dial(hold(), connection, 7007)
    except DriverError as error:
        raise AssertionError(str(error)) from error


async def test_the_console_is_the_command_s_terminal_until_it_ends(image: str) -> None:
    maker = driver(image, "command: sh, tty: true")
    assert maker.has_console
    async with held(maker, hold()):
        reader, writer = await maker.console(hold())
        writer.write(b"echo $((6 * 7)); exit\n")
        await writer.drain()
        shown = b""
        while data := await reader.read(4096):
            shown += data
        assert b"42\r\n" in shown
        writer.close()
        await maker.power(Power.ON, hold(), NOBODY)
        again, writer = await maker.console(hold())
        assert b"42" in await again.read(4096)
        writer.close()
    assert not driver(image).has_console


async def test_power_stops_and_starts_a_container_and_its_files_stay(image: str) -> None:
    maker = driver(image)
    async with held(maker, hold()) as connection:
        await run(connection, "touch /tmp/file")
        for action, is_running in ((Power.OFF, False), (Power.ON, True), (Power.CYCLE, True)):
            await maker.power(action, hold(), NOBODY)
            state = docker("inspect", "--format", "{{.State.Running}}", "hwp-box.1").strip()
            assert state == str(is_running).lower()
        assert await run(connection, "echo /tmp/*") == "/tmp/file"
        with pytest.raises(DriverError, match="only while it is held"):
            await maker.power(Power.ON, None, NOBODY)


async def test_a_manager_lends_containers_and_leaves_none(image: str, tmp_path: Path) -> None:
    maker = driver(image)
    resources = {"box": replace(maker.resource, check_every_s=0.05)}
    async with (
        scripted_lab() as lab,
        manager(lab.target, tmp_path / "journal", None, resources),
    ):
        session = await lab.session()
        await session.hear("volunteer")
        await session.offer("box.1", 1, "box")
        ready = await session.hear("ready", hold_id="box.1")
        assert ready.connection.protocol == "docker"
        assert list(await maker.existing()) == ["box.1"]
        await session.release("box.1", 1, "box")
        await session.hear("cleaned", hold_id="box.1")
        assert not await maker.existing()
