"""A real server of the EC2 API on loopback, without a cloud behind it."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from support import sshd
from support.redis_server import free_port

REGION = "eu-central-1"
#: The server takes any; they are found in the environment, as they are in a lab.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
    "AWS_SECRET_ACCESS_KEY": "s3cr3t-0f-the-lab",
}
_LIMIT_S = 30.0


@dataclass
class Ec2Server:
    url: str
    port: int
    client: Any
    ami: str
    subnet: str


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Ec2Server]:
    """Serve until the block ends; its credentials are in the environment meanwhile."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    before = {name: os.environ.get(name) for name in CREDENTIALS}
    stack = contextlib.ExitStack()
    os.environ |= CREDENTIALS
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(process, port, folder / "moto.log")
        client = boto3.client("ec2", region_name=REGION, endpoint_url=url)
        stack.callback(client.close)
        image = client.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        # Addresses of its instances are this machine's own, where nothing listens.
        network = client.create_vpc(CidrBlock="127.9.0.0/16")["Vpc"]["VpcId"]
        subnet = client.create_subnet(VpcId=network, CidrBlock="127.9.0.0/24")["Subnet"]["SubnetId"]
        yield Ec2Server(url, port, client, image, subnet)
    finally:
        stack.close()
        process.kill()
        process.wait()
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def guest(folder: Path) -> Iterator[tuple[sshd.Sshd, int]]:
    """A real sshd at the addresses of all instances, and its port there."""
    port = free_port()
    settings = (f"SetEnv HOME={folder}", f"ListenAddress 0.0.0.0:{port}")
    with sshd.running(folder, *settings) as machine:
        yield machine, port


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Return once it listens. Nothing tells when, so it is asked."""
    import time

    deadline = time.monotonic() + _LIMIT_S
    while True:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
