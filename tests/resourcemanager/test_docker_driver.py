"""Driver `docker` with a real engine."""

import json
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hwprovisioner.client.facts import Connection as HolderConnection
from hwprovisioner.client.running import execute
from hwprovisioner.resourcemanager import (
    ConfigError,
    Connection,
    DriverError,
    Hold,
    Share,
    calls,
    parse_config,
)
from hwprovisioner.resourcemanager.errors import Later
from hwprovisioner.resourcemanager.loading import load_driver
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import Power
from support import needs
from support.conformance import LIMIT_S
from support.docker_image import busybox
from support.eventually import eventually
from support.manager import manager
from support.scripted_lab import scripted_lab

pytestmark = [pytest.mark.timeout(LIMIT_S), pytest.mark.xdist_group("docker")]

MIB = 1024**2
SHARE = Share(1, 64 * MIB)
#: Answers each line with the same line.
ECHO = "nc -ll -p 7007 -e cat"
NOBODY: Callable[[str], None] = lambda line: None  # noqa: E731


@pytest.fixture(scope="module")
def image() -> str:
    return busybox()


def docker(*words: str, stdin: str = "") -> str:
    command = [needs.program("docker"), *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True).stdout


def entry(options: str, head: str = "limits: {cpu: 2, mem: 1GiB, instances: 4}") -> str:
    return f"resources: {{dynamic: {{box: {{driver: docker, {head}, options: {{{options}}}}}}}}}"


def driver(image: str, options: str = "command: sleep 1000", **head: str) -> Maker:
    text = entry(f'images: ["{image}"], {options}', **head)
    made = load_driver("docker")(parse_config(text).resources["box"])
    assert isinstance(made, Maker)
    return made


@asynccontextmanager
async def held(maker: Maker, hold: Hold) -> AsyncIterator[Connection]:
    """Prepare a hold, and see that nothing is left of it in the end."""
    try:
        yield await calls.prepare(maker, hold, NOBODY)
    finally:
        await calls.clean(maker, hold, NOBODY)
        assert hold.id not in await maker.existing()


def hold(number: int = 1, share: Share = SHARE, image: str = "") -> Hold:
    demand = {"provisioning": {"image": image}} if image else {}
    return Hold(f"box.{number}", "box", number, share, demand=demand)


async def run(connection: Connection, command: str | list[str]) -> str:
    """Run a command as a holder does."""
    there = HolderConnection(
        connection.protocol, user=connection.user, properties=connection.properties
    )
    return (await execute("box", there, command)).stdout.strip()


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


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("command: sh -c 'echo no disk; exit 3'", r"ended at once with status 3: no disk; .*stays"),
        ("command: /no/such/program", r"refuses: .*/no/such/program.* no such file"),
        ("command: sleep 9, network: no-such-network", "network no-such-network not found"),
        ("", "refuses: No command specified"),
    ],
)
async def test_a_container_that_cannot_run_says_why(image: str, options: str, words: str) -> None:
    maker = driver(image, options)
    with pytest.raises(DriverError, match=words):
        async with held(maker, hold()):
            pass
    await calls.clean(maker, hold(), NOBODY)
    assert not await maker.existing()


async def test_a_share_that_the_engine_has_not_is_refused_in_its_words(image: str) -> None:
    with pytest.raises(DriverError, match=r"refuses: .*CPUs"):
        await calls.prepare(driver(image), hold(share=Share(5000, 64 * MIB)), NOBODY)
    with pytest.raises(DriverError, match=r"refuses: .*[Mm]emory"):
        await calls.prepare(driver(image), hold(share=Share(1, 1024)), NOBODY)


async def test_a_network_that_is_full_is_later_and_not_a_failure(image: str) -> None:
    with network("--subnet", "10.213.7.0/30", "--gateway", "10.213.7.1") as name:
        maker = driver(image, f"command: sleep 1000, network: {name}")
        async with held(maker, hold(1)):
            with pytest.raises(Later, match="no room now"):
                await maker.prepare(hold(2), NOBODY)
            await calls.clean(maker, hold(2), NOBODY)
        async with held(maker, hold(2)) as connection:
            assert connection.address == "10.213.7.2"


async def test_what_the_engine_lacks_is_told_by_the_check(image: str) -> None:
    await calls.check(driver(image))
    with pytest.raises(DriverError, match=r"has no image no/such:1; `docker pull no/such:1`"):
        await calls.check(driver("no/such:1"))
    with pytest.raises(DriverError, match="no network 'no-such-network'"):
        await calls.check(driver(image, "network: no-such-network"))


async def test_an_engine_that_is_away_is_told_by_its_address(image: str) -> None:
    for address, words in (
        ("unix:///no/such.sock", "at unix:///no/such.sock: No such file or directory"),
        ("tcp://127.0.0.1:1", "at tcp://127.0.0.1:1: Connection refused"),
    ):
        away = driver(image, f"engine: '{address}'")
        for call in (away.check, away.existing, away.describe):
            with pytest.raises(DriverError, match=f"no Docker engine answers {words}") as caught:
                await call()
            assert f"; does `docker --host {address} info`?" in str(caught.value)


async def test_the_engine_is_found_as_docker_finds_it(
    image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///somewhere.sock")
    with pytest.raises(DriverError, match=r"at unix:///somewhere\.sock"):
        await driver(image).check()
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setattr(
        "hwprovisioner.resourcemanager.drivers._docker_engine.USUAL_ADDRESS", "unix:///usual.sock"
    )
    with pytest.raises(DriverError, match=r"at unix:///usual\.sock"):
        await driver(image).check()


async def test_the_engine_s_machine_is_described(image: str) -> None:
    facts = await calls.describe(driver(image))
    info = json.loads(docker("info", "--format", "{{json .}}"))
    assert (facts.cpus, facts.memory_bytes) == (info["NCPU"], info["MemTotal"])
    assert facts.os is not None
    assert facts.os.family == "linux"


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


async def test_what_others_made_is_left_alone(image: str) -> None:
    docker("create", "--name", "hwp-box.1", image, "true")
    try:
        maker = driver(image)
        assert "box.1" not in await maker.existing()
        await calls.clean(maker, hold(), NOBODY)
        with pytest.raises(DriverError, match=r"hwp-box\.1.* is already in use"):
            await calls.prepare(maker, hold(), NOBODY)
        docker("inspect", "hwp-box.1")
    finally:
        docker("rm", "hwp-box.1")


async def test_cards_are_asked_for_by_their_ids(image: str) -> None:
    head = "limits: {instances: 2, gpus: [{brand: nvidia, count: 2}]}"
    maker = driver(image, "command: sleep 1000, gpu_devices: [GPU-a, GPU-b]", head=head)
    wanted = hold(share=Share(gpus=(1,)))
    try:
        # The engine here has no cards. What it was asked for is there all the same.
        with pytest.raises(DriverError, match="could not select device driver"):
            await calls.prepare(maker, wanted, NOBODY)
        asked = docker("inspect", "--format", "{{json .HostConfig.DeviceRequests}}", "hwp-box.1")
        [request] = json.loads(asked)
        assert request["DeviceIDs"] == ["GPU-b"]
    finally:
        await calls.clean(maker, wanted, NOBODY)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("images: [a], engine: 'ssh://host'", r":1:\d+: .*engine: .*should begin with one of"),
        ("command: sleep 9", "options.images: is needed"),
        ("images: []", "options.images: "),
        ("images: [a], comand: x", "options.comand: .*did you mean .*command"),
        ("images: [a], tty: perhaps", "options.tty: should be true or false, is 'perhaps'"),
        ("images: [a], gpu_devices: [GPU-a]", "gpu_devices: names 1 cards, and the entry has 0"),
    ],
)
def test_a_wrong_option_is_told_with_its_place(options: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_config(entry(options))


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


@contextmanager
def network(*words: str) -> Iterator[str]:
    docker("network", "create", *words, "hwp-test")
    try:
        yield "hwp-test"
    finally:
        docker("network", "rm", "hwp-test")


@contextmanager
def built(image: str, *instructions: str) -> Iterator[str]:
    """Make an image with more instructions."""
    text = "\n".join([f"FROM {image}", *instructions])
    docker("build", "--tag", "hwp-test/built:1", "-", stdin=text)
    try:
        yield "hwp-test/built:1"
    finally:
        docker("rmi", "--force", "hwp-test/built:1")
