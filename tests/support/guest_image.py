"""A guest for virtual machines that boots in seconds; see tools/guest/build.sh."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from support import needs

_BUILD = Path(__file__).parents[2] / "tools" / "guest" / "build.sh"
#: What a kernel need not do to serve a test takes seconds where it is emulated.
APPEND = (
    "console=ttyS0 quiet nokaslr mitigations=off audit=0 apparmor=0 no_timer_check"
    " cryptomgr.notests"
)
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
            "append": APPEND,
            "user": "root",
        }


def guest_image() -> GuestImage:
    """Return the guest, or end the test where it cannot be built."""
    for name in ("qemu-system-x86_64", "qemu-img", "apt-get", "dpkg-deb", "cpio"):
        needs.program(name)
    done = subprocess.run([str(_BUILD)], capture_output=True, text=True)
    if done.returncode != 0:
        needs.missing(f"a guest for virtual machines: {done.stderr.strip()[-300:]}")
    folder = Path(done.stdout.strip())
    return GuestImage(folder / "vmlinuz", folder / "initrd")
