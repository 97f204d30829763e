"""Driver `libvirt`: virtual machines on a libvirt host, one for each hold."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path as FilePath
from typing import ClassVar

import libvirt
from pydantic import BaseModel

from hwprovisioner.resourcemanager.driver import Channel, Report
from hwprovisioner.resourcemanager.drivers import _guest_ssh, _machine_keys
from hwprovisioner.resourcemanager.drivers import _libvirt_domain as domains
from hwprovisioner.resourcemanager.drivers._libvirt_console import Console
from hwprovisioner.resourcemanager.drivers._libvirt_host import on_host
from hwprovisioner.resourcemanager.drivers._libvirt_options import LibvirtOptions
from hwprovisioner.resourcemanager.drivers._machine_maker import MachineMaker
from hwprovisioner.resourcemanager.drivers._machine_options import ImageSection
from hwprovisioner.resourcemanager.drivers._machine_size import NAME, share_of
from hwprovisioner.resourcemanager.drivers._names import name_there
from hwprovisioner.resourcemanager.drivers._waiting import until
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import (
    Connection,
    Hold,
    Instance,
    Power,
    Resource,
)
from hwprovisioner.resourcemanager.settings import state_folder
from hwprovisioner.resourcemanager.threads import in_thread, seen_through

_SSH_PORT = 22


class LibvirtDriver(MachineMaker):
    """Makes a virtual machine for each hold, with a volume on top of an image's."""

    Options: ClassVar[type[BaseModel]] = LibvirtOptions

    @property
    def has_console(self) -> bool:
        """Every machine has a serial port, unless it is make-believe."""
        return self._options.type != "test"

    async def check(self) -> None:
        """See whether the host answers, and has the pool, the network and the images."""
        options = self._options
        bases = [image.base for image in options.images.values() if image.base]

        def look(host: libvirt.virConnect) -> None:
            host.storagePoolLookupByName(options.pool)
            if options.network:
                host.networkLookupByName(options.network)
            for base in bases:
                domains.base(host, base)

        await on_host(options.uri, look)

    async def make(self, instance: Instance, report: Report) -> None:
        """Define a machine, start it, and wait until it is up."""
        options, resource, name = self._options, self.resource, instance.name
        image = self.image_of(instance)
        if await on_host(options.uri, lambda host: _is_up(host, resource, name)):
            return
        await self.destroy(name, lambda line: None)
        try:
            report("making the virtual machine")
            seed = await seen_through(in_thread(self._seed, name, image))
            share = share_of(self.resource, instance)
            wanted = domains.Wanted(resource, name, share, image, instance.disk_bytes, seed)
            await on_host(options.uri, lambda host: domains.define(host, options, wanted))
            if image.ready.by == "ssh":
                await self._let_in(name, image, "", report)
            await on_host(options.uri, lambda host: domains.came_up(_need(host, resource, name)))
        except BaseException:
            # Nothing may go on; the rest is for `destroy`.
            await on_host(options.uri, lambda host: _end(host, resource, name))
            raise

    async def hand_over(self, instance: Instance, hold: Hold, report: Report) -> Connection:
        """Put the holder's public key into the machine."""
        image, uri, name = self.image_of(instance), self._options.uri, instance.name
        if image.ready.by != "ssh":
            where, domain = await self._address(name), name_there(self.resource, name)
            return Connection("libvirt", where, properties={"uri": uri, "domain": domain})
        if not hold.ssh_public_key:
            report("the holder sent no public key: there is no way in")
        door = await self._let_in(name, image, hold.ssh_public_key, report)
        return Connection(
            "ssh", door.address, door.port, door.user, properties={"host_key": door.host_key}
        )

    async def destroy(self, name: str, report: Report) -> None:
        """Destroy the domain, its volumes and the keys to it."""
        options, resource, folder = self._options, self.resource, self._folder_of(name)
        if await on_host(options.uri, lambda host: domains.destroy(host, options, resource, name)):
            report("destroyed the virtual machine")
        await seen_through(in_thread(shutil.rmtree, folder, ignore_errors=True))

    async def existing(self) -> Collection[str]:
        """Return the names of the domains that say they are of this resource."""
        resource = self.resource

        def look(host: libvirt.virConnect) -> list[str]:
            names = (domains.instance_of(one, resource) for one in host.listAllDomains(0))
            return [name for name in names if name]

        return await on_host(self._options.uri, look)

    async def is_well(self, instance: Instance) -> bool:
        """Say whether the machine came up and runs."""
        resource, name = self.resource, instance.name
        return await on_host(self._options.uri, lambda host: _is_up(host, resource, name))

    async def power(self, action: Power, hold: Hold | None, report: Report) -> None:
        """Switch a machine's power; what its disk has stays."""
        if hold is None:
            raise DriverError("a virtual machine is there, and has power, only while it is held")
        resource, name = self.resource, hold.instance

        def switch(host: libvirt.virConnect) -> None:
            domain = _need(host, resource, name)
            if action is not Power.ON and domain.isActive():
                domain.destroy()
            if action is not Power.OFF and not domain.isActive():
                domain.create()

        await on_host(self._options.uri, switch)

    async def console(self, hold: Hold) -> Channel:
        """Open the machine's serial port. One at a time has it."""
        if not self.has_console:
            return await super().console(hold)
        resource, name = self.resource, hold.instance
        console = await Console.attach(
            self._options.uri, lambda host: _need_running(host, resource, name)
        )
        return console, console

    async def dial(self, hold: Hold, connection: Connection, port: int) -> Channel:
        """Connect to a port of the machine, at the address that it has now."""
        address = await self._address(hold.instance)
        if not address:
            raise DriverError("the virtual machine has no address that libvirt knows of")
        return await super().dial(hold, replace(connection, address=address), port)

    @property
    def _options(self) -> LibvirtOptions:
        assert isinstance(self.resource.options, LibvirtOptions)
        return self.resource.options

    def _folder_of(self, name: str) -> FilePath:
        """Return where the keys to a machine are."""
        if not NAME.fullmatch(name):
            raise DriverError(f"{name!r} cannot be the name of a virtual machine")
        return state_folder() / "libvirt" / self.resource.mark / self.resource.name / name

    def _seed(self, name: str, image: ImageSection) -> bytes:
        """Make keys, and a seed with them; without SSH there is none."""
        if image.ready.by != "ssh":
            return b""
        folder = self._folder_of(name)
        folder.mkdir(parents=True, mode=0o700)
        return _machine_keys.new_seed(folder, image.user)

    async def _let_in(
        self, name: str, image: ImageSection, public_key: str, report: Report
    ) -> _guest_ssh.Door:
        """Wait until the machine lets us in, and let a holder's key in, too, if there is one."""
        door = _machine_keys.door(self._folder_of(name), "", _SSH_PORT, image.user)

        async def look() -> str:
            nonlocal door
            door = replace(door, address=await self._address(name))
            return await _guest_ssh.try_door(door, public_key) if door.address else "no address"

        await until(look, "SSH", report)
        return door

    async def _address(self, name: str) -> str:
        resource, network = self.resource, self._options.network

        def look(host: libvirt.virConnect) -> str:
            domain = _need_running(host, resource, name)
            return domains.address(domain) if network else ""

        return await on_host(self._options.uri, look)


def _need(host: libvirt.virConnect, resource: Resource, name: str) -> libvirt.virDomain:
    domain = domains.find(host, resource, name)
    if domain is None:
        raise DriverError(f"the virtual machine {name} is gone")
    return domain


def _need_running(host: libvirt.virConnect, resource: Resource, name: str) -> libvirt.virDomain:
    domain = _need(host, resource, name)
    if not domain.isActive():
        raise DriverError(f"the virtual machine {name} does not run; `hwp power on` starts it")
    return domain


def _is_up(host: libvirt.virConnect, resource: Resource, name: str) -> bool:
    domain = domains.find(host, resource, name)
    return domain is not None and domains.is_up(domain)


def _end(host: libvirt.virConnect, resource: Resource, name: str) -> None:
    domain = domains.find(host, resource, name)
    if domain is not None and domain.isActive():
        domain.destroy()
