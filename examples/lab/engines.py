"""Starts on this machine what each part of the lab needs, each for the length of a block.

What is yielded puts addresses, keys and files into the part's entry of resources.yml.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import importlib.util
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from . import cloud
from .parts import Fill, Missing
from .processes import free_port, listens, output, program, running, until

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parents[1] / "tools"


@contextlib.asynccontextmanager
async def guest(folder: Path) -> AsyncIterator[Fill]:
    """Sees that there are QEMU and the small guest, which is made once."""
    for name in ("qemu-system-x86_64", "qemu-img"):
        program(name)
    image = Path(await output(str(TOOLS / "guest" / "build.sh")))

    def fill(entry: dict[str, Any]) -> None:
        (tiny,) = entry["options"]["images"].values()
        tiny |= {"kernel": str(image / "vmlinuz"), "initrd": str(image / "initrd")}
        entry["options"]["folder"] = str(folder / "machines")

    yield fill


@contextlib.asynccontextmanager
async def docker(folder: Path) -> AsyncIterator[Fill]:
    """Uses the Docker engine that answers, else one of its own; makes an image for the block."""
    client = program("docker")
    program("busybox")
    async with contextlib.AsyncExitStack() as stack:
        if not await _docker_answers():
            await stack.enter_async_context(_own_docker(folder))
        image = f"hwp-lab-demo/busybox:{folder.name}"
        await output(str(TOOLS / "busybox_image.sh"), image)
        try:
            yield lambda entry: entry["options"].update(images=[image])
        finally:
            # Containers are left only if something failed, and then that has been told.
            listing = await output(client, "ps", "-aq", "--filter", f"ancestor={image}")
            if listing:
                await output(client, "rm", "--force", *listing.split())
            await output(client, "image", "rm", "--force", image)


async def _docker_answers() -> bool:
    try:
        async with asyncio.timeout(10):
            await output(program("docker"), "info", "--format", "{{.ID}}")
    except (Missing, TimeoutError):
        return False
    return True


@contextlib.asynccontextmanager
async def _own_docker(folder: Path) -> AsyncIterator[None]:
    """Runs an engine with folders of its own, and without touching the machine's network."""
    if os.geteuid() != 0:
        raise Missing("no Docker engine answers, and only root can start one")
    home, log = folder / "docker", folder / "dockerd.log"
    home.mkdir()
    address = f"unix://{home}/docker.sock"
    command = [program("dockerd"), "--host", address, "--bridge", "none", "--iptables=false"]
    command += ["--ip6tables=false", "--pidfile", f"{home}/pid"]
    command += ["--data-root", f"{home}/data", "--exec-root", f"{home}/run"]
    before = os.environ.get("DOCKER_HOST")
    async with running(command, log) as process:
        os.environ["DOCKER_HOST"] = address
        try:
            await until(_docker_answers, process, log)
            yield
        finally:
            os.environ.pop("DOCKER_HOST")
            if before is not None:
                os.environ["DOCKER_HOST"] = before


@contextlib.asynccontextmanager
async def sshd(folder: Path) -> AsyncIterator[Fill]:
    """Runs an sshd on loopback, with keys of its own, for the user who runs this."""
    server = program("sshd")
    program("ssh")
    home, log, port = folder / "sshd", folder / "sshd.log", free_port()
    home.mkdir()
    for name in ("host", "lab"):
        key = f"{home}/{name}"
        await output(program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", key)
    host_key = _configure(home, port)

    def fill(entry: dict[str, Any]) -> None:
        entry["access"] |= {"port": str(port), "user": getpass.getuser(), "host_key": host_key}
        entry["access"]["key_file"] = str(home / "lab")
        entry["options"]["authorized_keys"] = str(home / "authorized_keys")

    async with running([server, "-D", "-e", "-f", f"{home}/config"], log) as process:
        await until(listens(port), process, log)
        yield fill


def _configure(home: Path, port: int) -> str:
    """Writes what an sshd reads, and gives its public key."""
    (home / "authorized_keys").write_bytes((home / "lab.pub").read_bytes())
    (home / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {home}/host\nPidFile none\n"
        f"AuthorizedKeysFile {home}/authorized_keys\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "PermitRootLogin prohibit-password\n"
    )
    if os.geteuid() == 0:
        # A root's sshd wants it. It stays, for another one may use it by then.
        Path("/run/sshd").mkdir(exist_ok=True)
    return " ".join((home / "host.pub").read_text().split()[:2])


@contextlib.asynccontextmanager
async def ec2(folder: Path) -> AsyncIterator[Fill]:
    """Runs moto, a server of the EC2 API."""
    for name in ("moto", "boto3", "flask"):
        if importlib.util.find_spec(name) is None:
            raise Missing(f"the Python package {name} is not installed")
    log, port = folder / "moto.log", free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    async with running(command, log) as process:
        await until(listens(port), process, log)
        url = f"http://127.0.0.1:{port}"
        with cloud.credentials():
            ami = await asyncio.to_thread(cloud.any_ami, url)

            def fill(entry: dict[str, Any]) -> None:
                entry["options"]["endpoint_url"] = url
                (image,) = entry["options"]["images"].values()
                image["ami"] = ami

            yield fill


@contextlib.asynccontextmanager
async def board(folder: Path) -> AsyncIterator[Fill]:
    """Needs nothing but the script."""

    def fill(entry: dict[str, Any]) -> None:
        entry["options"]["command"] = [sys.executable, str(HERE / "board.py")]
        entry["options"]["parameters"]["relay"] = str(folder / "relay")

    yield fill


@contextlib.asynccontextmanager
async def nothing(folder: Path) -> AsyncIterator[Fill]:
    """Is for what is there anyway."""
    yield lambda entry: None


#: What each part needs, by its name.
ENGINES: dict[str, Callable[[Path], AbstractAsyncContextManager[Fill]]] = {
    "vm": guest,
    "container": docker,
    "server": sshd,
    "cloud": ec2,
    "board": board,
    "here": nothing,
}
