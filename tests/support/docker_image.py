"""A small image with a shell, made of this machine's busybox: no registry is asked."""

import subprocess
from pathlib import Path

from support import needs

NAME = "hwp-test/busybox:1"
_MAKE = Path(__file__).parents[2] / "tools" / "busybox_image.sh"


def busybox() -> str:
    """Return the name of the image on the engine that answers, or end the test."""
    needs.docker_engine()
    needs.program("busybox")
    subprocess.run([str(_MAKE), NAME], check=True, capture_output=True)
    return NAME
