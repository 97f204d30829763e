"""Driver `qemu`: virtual machines on the manager's own host, one for each hold."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection
from pathlib import Path as FilePath
from typing import ClassVar

from pydantic import BaseModel

from hwprovisioner.resourcemanager.driver import Channel, Report
from hwprovisioner.resourcemanager.drivers import (
    _kvm,
    _qemu_boot,
    _qemu_command,
    _qemu_net,
    _qemu_power,
)
from hwprovisioner.resourcemanager.drivers._machine_maker import MachineMaker
from hwprovisioner.resourcemanager.drivers._machine_options import ImageSection
from hwprovisioner.resourcemanager.drivers._machine_size import NAME, share_of
from hwprovisioner.resourcemanager.drivers._qemu_disk import make_disk
from hwprovisioner.resourcemanager.drivers._qemu_options import QemuOptions
from hwprovisioner.resourcemanager.drivers._qemu_process import CONSOLE, Machine
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import (
    Connection,
    Hold,
    Instance,
    Power,
)
from hwprovisioner.resourcemanager.settings import state_folder
from hwprovisioner.resourcemanager.threads import in_thread


class QemuDriver(MachineMaker):
    """Makes a virtual machine for each hold, with a disk on top of an image's."""

    Options: ClassVar[type[BaseModel]] = QemuOptions

    @property
    def has_console(self) -> bool:
        """Every machine has a serial port."""
        return True

    async def check(self) -> None:
        """See whether there are QEMU, the images, and KVM if it is needed; make the folder."""
        for program in (self._options.program, "qemu-img"):
            if shutil.which(program) is None:
                advice = "install QEMU (Debian: qemu-system-x86, qemu-utils)"
                raise DriverError(f"there is no program {program}: {advice}")
        for name, image in self.images.items():
            await in_thread(_need_files, name, image)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise DriverError(f"folder {self._folder}: {error.strerror}") from error
        await self._accel()

    async def make(self, instance: Instance, report: Report) -> None:
        """Start a machine and wait until it is up; one that did not come up is made anew."""
        machine = self._machine(instance.name)
        if machine.is_up:
            return
        image = self.image_of(instance)
        await in_thread(_need_files, instance.image or "that is first", image)
        await machine.destroy()
        try:
            await self._make(machine, image, instance, report)
        except BaseException:
            # Nothing may go on; the files are for `destroy`.
            await machine.kill()
            raise

    async def hand_over(self, instance: Instance, hold: Hold, report: Report) -> Connection:
        """Put the holder's public key into the machine."""
        machine, image = self._machine(instance.name), self.image_of(instance)
        address = self._options.listen
        if image.ready.by != "ssh":
            port = await _qemu_net.forwarded(machine, _qemu_command.SSH_PORT)
            return Connection("console", address, port)
        if not hold.ssh_public_key:
            report("the holder sent no public key: the console is the only way in")
        door = await _qemu_boot.let_in(machine, image, address, hold.ssh_public_key, report)
        return Connection("ssh", address, door.port, door.user, "", {"host_key": door.host_key})

    async def destroy(self, name: str, report: Report) -> None:
        """End the machine's process and delete its folder."""
        machine = self._machine(name)
        if machine.is_there:
            report("destroying the virtual machine")
        await machine.destroy()

    async def existing(self) -> Collection[str]:
        """Return the names of the folders: there is nothing of a machine elsewhere."""
        try:
            return await in_thread(os.listdir, self._folder)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise DriverError(f"folder {self._folder}: {error.strerror}") from error

    async def is_well(self, instance: Instance) -> bool:
        """Say whether the machine came up, and its guest runs."""
        machine = self._machine(instance.name)
        if not machine.is_up:
            return False
        with contextlib.suppress(DriverError):
            async with machine.monitor() as monitor:
                return await _qemu_power.is_on(monitor)
        return False

    async def power(self, action: Power, hold: Hold | None, report: Report) -> None:
        """Switch a machine's power; what its disk has stays."""
        if hold is None:
            raise DriverError("a virtual machine is there, and has power, only while it is held")
        async with self._machine(hold.instance).monitor() as monitor:
            await _qemu_power.switch(monitor, action)

    async def console(self, hold: Hold) -> Channel:
        """Open the machine's serial port. One at a time has it; others wait for it."""
        return await self._machine(hold.instance).dial(CONSOLE)

    async def dial(self, hold: Hold, connection: Connection, port: int) -> Channel:
        """Connect to a port of the machine's own address."""
        return await _qemu_net.dial(self._machine(hold.instance), port)

    @property
    def _options(self) -> QemuOptions:
        assert isinstance(self.resource.options, QemuOptions)
        return self.resource.options

    @property
    def _folder(self) -> FilePath:
        """Where the machines of this resource are, each in a folder of its name."""
        base = self._options.folder
        whole = _qemu_command.file(base) if base else state_folder() / "qemu"
        return whole / self.resource.mark / self.resource.name

    def _machine(self, name: str) -> Machine:
        if not NAME.fullmatch(name):
            raise DriverError(f"{name!r} cannot be the name of a virtual machine")
        return Machine(self._folder / name)

    async def _accel(self) -> str:
        wanted = self._options.accel
        if wanted == "tcg":
            return "tcg"
        trouble = await _kvm.trouble(self._options.program)
        if trouble and wanted == "kvm":
            raise DriverError(f"KVM does not work: {trouble}; with `accel: auto` it is emulated")
        return "tcg" if trouble else "kvm"

    async def _make(
        self, machine: Machine, image: ImageSection, instance: Instance, report: Report
    ) -> None:
        accel = await self._accel()
        report("making the virtual machine" + ("" if accel == "kvm" else ", emulated: no KVM"))
        machine.folder.mkdir(parents=True, mode=0o700)
        _qemu_boot.write_seed(machine, image)
        base = _qemu_command.file(image.base) if image.base else None
        disk = await make_disk(machine.folder / _qemu_command.DISK, base, instance.disk_bytes)
        share = share_of(self.resource, instance)
        await machine.start(
            _qemu_command.command(
                self._options, image, instance.name, share, accel=accel, disk=disk
            )
        )
        await _qemu_boot.boot(machine, image, self._options.listen, report)
        machine.came_up()


def _need_files(name: str, image: ImageSection) -> None:
    """Raise what is wrong with the files of an image."""
    for path in filter(None, (image.base, image.kernel, image.initrd)):
        try:
            with _qemu_command.file(path).open("rb"):
                pass
        except OSError as error:
            raise DriverError(f"image {name}: {path}: {error.strerror}") from error
