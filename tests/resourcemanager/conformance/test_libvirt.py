"""Driver `libvirt`, with libvirt's own make-believe host."""

from pathlib import Path

import pytest

from support import needs
from support.conformance import LIMIT_S, conforms

pytestmark = pytest.mark.timeout(LIMIT_S)

FILE = """
resources:
  dynamic:
    rack:
      driver: libvirt
      limits: {cpu: 4, mem: 1GiB, instances: 4}
      default: {cpu: 1, mem: 128MiB}
      options:
        uri: test:///default
        type: test
        pool: default-pool
        network: ""  # its addresses are made up, too
        disk_limit: 1GiB
        images: {tiny: {kernel: /boot/vmlinuz, ready: start}}
    away:
      driver: libvirt
      limits: {cpu: 4, mem: 1GiB, instances: 4}
      default: {cpu: 1, mem: 128MiB}
      options: {uri: "qemu+unix:///system?socket=/nowhere", images: {tiny: {base: /tiny}}}
"""


def test_it_keeps_what_every_driver_promises(tmp_path: Path) -> None:
    needs.module("libvirt")
    conforms(tmp_path, "libvirt", FILE, "--broken", "away")
