"""A disk for virtual machines that boot in less than a second, emulated, too: 512 bytes of code.

It says that it is up on the first serial port, and sleeps.
"""

from pathlib import Path

from support import needs

UP = "is up"

_CODE = bytes.fromhex(
    "31c0 8ed8"  # ds = 0
    "be227c"  # si = the text, behind the code
    "ac 84c0 7412"  # next: al = [si++]; at its end go to `rest`
    "88c3"  # keep it
    "bafd03 ec a820 74f8"  # wait until the serial port takes a character
    "baf803 88d8 ee ebe9"  # give it that, and go to `next`
    "fb f4 ebfc"  # rest: sleep until the next interrupt, for ever
)


def boot_sector(folder: Path) -> Path:
    """Return a raw disk with it, made in a folder, or end the test where there is no QEMU."""
    for name in ("qemu-system-x86_64", "qemu-img"):
        needs.program(name)
    disk = folder / "boot.raw"
    sector = (_CODE + f"{UP}\r\n".encode() + b"\0").ljust(510, b"\0") + b"\x55\xaa"
    # One that has no whole cylinder is not booted from.
    disk.write_bytes(sector.ljust(1024**2, b"\0"))
    return disk
