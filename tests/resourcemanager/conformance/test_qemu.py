"""Driver `qemu`, with real machines."""

import json
from pathlib import Path

import pytest

from support.conformance import LIMIT_S, conforms
from support.guest_image import guest_image

pytestmark = pytest.mark.timeout(LIMIT_S)

FILE = """
resources:
  dynamic:
    hyper:
      driver: qemu
      limits: {{cpu: 2, mem: 512MiB, instances: 2}}
      default: {{cpu: 1, mem: 128MiB}}
      options: {{accel: tcg, folder: {folder}, images: {{tiny: {image}}}}}
    broken:
      driver: qemu
      limits: {{cpu: 2, mem: 512MiB, instances: 2}}
      default: {{cpu: 1, mem: 128MiB}}
      options: {{accel: tcg, folder: {folder}, images: {{gone: {{kernel: /nowhere}}}}}}
"""


def test_it_keeps_what_every_driver_promises(tmp_path: Path) -> None:
    # Whether SSH answers is tested with the driver: here it would be one boot after the other.
    image = guest_image().options | {"ready": "start"}
    file = FILE.format(folder=tmp_path / "machines", image=json.dumps(image))
    conforms(tmp_path, "qemu", file, "--broken", "broken")
    assert not list((tmp_path / "machines" / "hyper").iterdir())
