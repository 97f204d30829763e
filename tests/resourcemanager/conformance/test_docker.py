"""Driver `docker`, with a real engine."""

from pathlib import Path

import pytest

from support.conformance import LIMIT_S, conforms
from support.docker_image import busybox

pytestmark = [pytest.mark.timeout(LIMIT_S), pytest.mark.xdist_group("docker")]

FILE = """
resources:
  dynamic:
    engine1:
      driver: docker
      limits: {{cpu: 2, mem: 1GiB, instances: 4}}
      default: {{cpu: 1, mem: 64MiB}}
      options:
        images: ["{image}"]
        command: sh
        tty: true
        environment: {{TOKEN: correct-horse}}
    away:
      driver: docker
      limits: {{instances: 1}}
      options: {{images: ["{image}"], engine: "tcp://127.0.0.1:1"}}
"""


def test_it_keeps_what_every_driver_promises(tmp_path: Path) -> None:
    conforms(tmp_path, "docker", FILE.format(image=busybox()), "--broken", "away")
