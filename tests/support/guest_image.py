"""A guest for virtual machines that boots in seconds; see guest/build.sh. It is built once."""

import fcntl
import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support import needs

_SOURCE = Path(__file__).parent / "guest"
#: What it prints on the console when all of it is up.
UP = "is up"


@dataclass(frozen=True)
class GuestImage:
    kernel: Path
    initrd: Path

    @property
    def options(self) -> dict[str, str]:
        """What an image's options are to say."""
        return {
            "kernel": str(self.kernel),
            "initrd": str(self.initrd),
            "append": "console=ttyS0 quiet",
            "user": "root",
        }


def guest_image() -> GuestImage:
    """Return the guest, or end the test where it cannot be built."""
    for name in ("qemu-system-x86_64", "qemu-img", "apt-get", "dpkg-deb", "cpio"):
        needs.program(name)
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    image = GuestImage(folder / "vmlinuz", folder / "initrd")
    # Tests that run at once want it at once.
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.kernel.exists():
            command = ["sh", str(_SOURCE / "build.sh"), str(folder)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode != 0:
                needs.missing(f"a guest for virtual machines: {done.stderr.strip()[-300:]}")
    return image


def _folder() -> Path:
    """Return where the guest is kept; one that was built otherwise is another."""
    digest = hashlib.sha256()
    for file in sorted(_SOURCE.iterdir()):
        digest.update(file.read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "hwprovisioner" / f"guest-{digest.hexdigest()[:12]}"
