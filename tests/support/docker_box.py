"""Containers of the driver `docker`, as its tests make and look at them."""

import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from hwprovisioner.client.facts import Connection as HolderConnection
from hwprovisioner.client.running import execute
from hwprovisioner.resourcemanager import Connection, Hold, Share, calls, parse_config
from hwprovisioner.resourcemanager.loading import load_driver
from hwprovisioner.resourcemanager.maker import Maker
from support import needs

MIB = 1024**2
SHARE = Share(1, 64 * MIB)
NOBODY: Callable[[str], None] = lambda line: None  # noqa: E731


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
