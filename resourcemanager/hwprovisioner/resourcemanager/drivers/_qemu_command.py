"""What QEMU is started with. There is no secret in it: those are in files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hwprovisioner.resourcemanager.drivers._machine_options import ImageSection
from hwprovisioner.resourcemanager.drivers._qemu_options import QemuOptions
from hwprovisioner.resourcemanager.drivers._qemu_process import CONSOLE, MONITOR, PID
from hwprovisioner.resourcemanager.model import Share

#: Files in a machine's folder, which QEMU runs in: no path of ours has to be quoted.
DISK, SEED = "disk.qcow2", "seed.iso"
#: How the monitor names the network, and the guest's address in it.
NETWORK, GUEST = "net0", "10.0.2.15"
SSH_PORT = 22
MIB = 1024**2


def command(
    options: QemuOptions, image: ImageSection, name: str, share: Share, *, accel: str, disk: bool
) -> list[str]:
    """Return the command that starts a machine, halted before its first instruction."""
    return [
        *(options.program, "-nodefaults", "-no-user-config", "-display", "none"),
        *("-name", f"guest={name}", "-daemonize", "-pidfile", PID, "-S"),
        # A guest that switches itself off can be switched on again.
        "-no-shutdown",
        *(("-machine", "q35") if options.program.endswith("x86_64") else ()),
        *("-accel", accel, "-cpu", "host" if accel == "kvm" else "max"),
        *("-smp", str(share.cpus), "-m", f"{share.memory_bytes // MIB}M"),
        *_kernel(image),
        *_disks(disk),
        *("-netdev", f"user,id={NETWORK},hostfwd=tcp:{options.listen}:0-{GUEST}:{SSH_PORT}"),
        *("-device", f"virtio-net-pci,netdev={NETWORK},romfile="),
        *("-device", "virtio-rng-pci"),
        *("-chardev", f"socket,id=tty,path={CONSOLE},server=on,wait=off"),
        *("-serial", "chardev:tty"),
        *("-qmp", f"unix:{MONITOR},server=on,wait=off"),
        *options.arguments,
    ]


def file(path: str) -> Path:
    """Return where a file of the options is."""
    return Path(path).expanduser().absolute()


def _kernel(image: ImageSection) -> Iterator[str]:
    if image.kernel:
        yield from ("-kernel", str(file(image.kernel)))
        if image.initrd:
            yield from ("-initrd", str(file(image.initrd)))
        if image.append:
            yield from ("-append", image.append)


def _disks(disk: bool) -> Iterator[str]:
    if disk:
        # What a guest means to keep need not outlive this host: the machine does not, either.
        yield from ("-drive", f"file={DISK},format=qcow2,if=virtio,cache=unsafe,discard=unmap")
    yield from ("-drive", f"file={SEED},format=raw,if=virtio,readonly=on")
