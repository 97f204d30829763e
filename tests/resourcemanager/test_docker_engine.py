"""Driver `docker` with a real engine: how that is found, what it has, and what it refuses."""

import json

import pytest

from hwprovisioner.resourcemanager import ConfigError, DriverError, Share, calls, parse_config
from hwprovisioner.resourcemanager.errors import Later
from support.conformance import LIMIT_S
from support.docker_box import MIB, NOBODY, docker, driver, entry, held, hold, network
from support.docker_image import busybox

pytestmark = [pytest.mark.timeout(LIMIT_S), pytest.mark.xdist_group("docker")]


@pytest.fixture(scope="module")
def image() -> str:
    return busybox()


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
