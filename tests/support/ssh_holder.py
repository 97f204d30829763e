"""Holders of a machine with ephemeral access, with OpenSSH's own client."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hwprovisioner.resourcemanager import Access, Hold, Kind, Resource, calls
from hwprovisioner.resourcemanager.driver import Driver
from hwprovisioner.resourcemanager.loading import load_driver
from hwprovisioner.resourcemanager.model import Connection
from support import needs, sshd


def new_key(file: Path) -> Path:
    keygen = needs.program("ssh-keygen")
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", file, "-C", "a b"], check=True)
    return file


def hold(key: Path, fence: int = 7) -> Hold:
    return Hold(
        f"refb.{fence}", "refb", fence, ssh_public_key=key.with_suffix(".pub").read_text().strip()
    )


def driver_for(server: sshd.Sshd, name: str = "refb", **options: object) -> Driver:
    driver = load_driver("ssh")
    access = Access(
        "127.0.0.1", server.user, server.port, str(server.key_file), server.host_key, ephemeral=True
    )
    options = {"authorized_keys": str(keys_file(server)), **options}
    checked = driver.Options.model_validate(options)
    return driver(Resource(name, Kind.PHYSICAL_SERVER, "ssh", access=access, options=checked))


def keys_file(server: sshd.Sshd) -> Path:
    return server.folder / "authorized_keys"


def keys(server: sshd.Sshd) -> list[str]:
    return keys_file(server).read_text().splitlines()


def ssh(server: sshd.Sshd, key: Path, *words: str) -> list[str]:
    return [
        *(needs.program("ssh"), "-F", "none", "-i", str(key), "-p", str(server.port)),
        *("-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR"),
        *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
        *(f"{server.user}@127.0.0.1", *words),
    ]


def is_let_in(server: sshd.Sshd, key: Path) -> bool:
    return subprocess.run(ssh(server, key, "true"), capture_output=True).returncode == 0


async def prepare(driver: Driver, hold: Hold) -> Connection:
    return await calls.prepare(driver, hold, lambda line: None)


async def give_back(driver: Driver, hold: Hold) -> None:
    await calls.tear_down(driver, hold, lambda line: None)
    await calls.clean(driver, hold, lambda line: None)


@contextmanager
def session(server: sshd.Sshd, key: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Log in as a holder does; the command says the first line when it runs."""
    command = ssh(server, key, *words)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()
