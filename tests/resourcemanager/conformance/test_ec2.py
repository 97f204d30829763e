"""Driver `ec2`, with a real server of its API."""

from pathlib import Path

import pytest

from support import ec2_server
from support.conformance import LIMIT_S, conforms

pytestmark = pytest.mark.timeout(LIMIT_S)


def test_it_keeps_what_every_driver_promises(tmp_path: Path) -> None:
    guest = tmp_path / "guest"
    guest.mkdir()
    with ec2_server.running(tmp_path) as server, ec2_server.guest(guest) as (machine, port):
        options = f"""
        region: {ec2_server.REGION}
        images: {{any: {{ami: {server.ami}, os: {{family: linux}}, user: {machine.user}}}}}
        types: {{t3.micro: {{cpus: 2, memory: 1GiB}}, m5.large: {{cpus: 2, memory: 8GiB}}}}
        subnet: {server.subnet}
        port: {port}
        login_key_file: {machine.key_file}
        ready: running"""
        file = f"""
resources:
  dynamic:
    cloud:
      driver: ec2
      limits: {{cpu: 8, mem: 32GiB, instances: 4}}
      default: {{cpu: 1, mem: 512MiB}}
      options:
        endpoint_url: {server.url}{options}
    away:
      driver: ec2
      limits: {{instances: 1}}
      options:
        endpoint_url: http://127.0.0.1:1{options}
"""
        secret = ec2_server.CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
        words = ("--broken", "away", "--secret", secret, "--cancellations", "3")
        conforms(tmp_path, "ec2", file, *words)
