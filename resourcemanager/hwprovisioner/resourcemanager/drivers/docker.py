"""Driver `docker`: containers on a Docker engine, one for each hold."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any, ClassVar, TypeVar

import aiodocker
from aiodocker.containers import DockerContainer
from pydantic import BaseModel

from hwprovisioner.resourcemanager.driver import Channel, Report
from hwprovisioner.resourcemanager.drivers import _docker_container as containers
from hwprovisioner.resourcemanager.drivers._docker_console import Console
from hwprovisioner.resourcemanager.drivers._docker_engine import address_or_usual, engine
from hwprovisioner.resourcemanager.drivers._docker_options import DockerOptions
from hwprovisioner.resourcemanager.drivers._names import name_there
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import (
    Connection,
    Facts,
    Hold,
    Instance,
    Kind,
    Makes,
    OperatingSystem,
    Power,
    Resource,
    TimeLimits,
)
from hwprovisioner.resourcemanager.threads import seen_through
from hwprovisioner.serving.problems import Path, suggest

T = TypeVar("T")

#: How long to wait before a removal that failed is tried again.
_AGAIN_S = 0.2
#: What a container may still do once its power is switched off.
_GRACE_S = 1


class DockerDriver(Maker):
    """Makes a container for each hold and removes it after."""

    Options: ClassVar[type[BaseModel]] = DockerOptions
    default_kind: ClassVar[Kind | None] = Kind.CONTAINER
    default_time_limits: ClassVar[TimeLimits] = TimeLimits(
        ready_up_s=120.0, tear_down_s=30.0, clean_s=120.0, check_s=30.0
    )

    @classmethod
    def verify(cls, resource: Resource) -> Iterable[tuple[Path, str]]:
        """Yield what is wrong with its cards."""
        assert isinstance(resource.options, DockerOptions)
        cards, devices = len(resource.declared.gpus or ()), len(resource.options.gpu_devices)
        if cards != devices:
            message = f"names {devices} cards, and the entry has {cards} in `gpus`; name each once"
            yield ("options", "gpu_devices") if devices else ("options",), message

    @property
    def makes(self) -> Makes:
        """The images of the options."""
        return Makes(images=tuple(self._options.images))

    @property
    def has_power(self) -> bool:
        """A container is stopped and started."""
        return True

    @property
    def has_console(self) -> bool:
        """Its terminal, where it has one."""
        return self._options.tty

    async def describe(self) -> Facts:
        """Return what the engine's machine has."""
        async with engine(self._engine) as docker:
            info = await docker.system.info()
        # Containers share the kernel of the engine's machine.
        family, kernel = str(info.get("OSType", "")), str(info.get("KernelVersion", ""))
        system = OperatingSystem(family=family, kernel=kernel)
        return Facts(cpus=info.get("NCPU"), memory_bytes=info.get("MemTotal"), os=system)

    async def check(self) -> None:
        """See whether the engine answers, and has the images and the network."""
        network = self._options.network
        async with engine(self._engine) as docker:
            for image in self._options.images:
                await _need_image(docker, image)
            if await _found(docker.networks.get(network)) is None:
                raise DriverError(f"the Docker engine has no network {network!r}")

    async def make(self, instance: Instance, report: Report) -> None:
        """Create the container and start it; if it has a health check, wait until it is well."""
        image = instance.image or self._options.images[0]
        if image not in self._options.images:
            raise DriverError(f"there is no image {image!r}{suggest(image, self._options.images)}")
        async with engine(self._engine) as docker:
            seen = await self._find(docker, instance.name)
            if seen is None:
                await _need_image(docker, image)
                report(f"creating a container of {image}")
                container = await _create(
                    docker,
                    name_there(self.resource, instance.name),
                    containers.wanted(self.resource, self._options, instance, image),
                )
            else:
                container = docker.containers.container(seen["Id"])
            report("starting the container")
            await container.start()
            await containers.until_it_stays(container, report)

    async def hand_over(self, instance: Instance, hold: Hold, report: Report) -> Connection:
        """Say where the container is."""
        options = self._options
        async with engine(self._engine) as docker:
            seen = await self._need(docker, instance.name)
            container = docker.containers.container(seen["Id"])
            seen = await containers.until_well(container, report)
        return Connection(
            protocol="docker",
            address=containers.address(seen),
            user=options.user,
            properties={
                "container": seen["Id"],
                "engine": options.engine_for_holders or self._engine,
            },
        )

    async def destroy(self, name: str, report: Report) -> None:
        """Remove the container, running or not, with its volumes, and see it gone."""
        async with engine(self._engine) as docker:
            while (seen := await self._find(docker, name)) is not None:
                report("removing the container")
                try:
                    await docker.containers.container(seen["Id"]).delete(force=True, v=True)
                except aiodocker.DockerError as error:
                    # It is gone by now, or is being removed already.
                    if error.status not in (404, 409):
                        raise
                    await asyncio.sleep(_AGAIN_S)

    async def existing(self) -> Collection[str]:
        """Return the names that the containers of this resource are marked with."""
        label = f"{containers.RESOURCE_LABEL}={self.resource.name}"
        async with engine(self._engine) as docker:
            found = await docker.containers.list(all=True, filters=json.dumps({"label": [label]}))
        return [
            str(one["Labels"].get(containers.INSTANCE_LABEL, ""))
            for one in found
            if containers.is_of(one["Labels"], self.resource)
        ]

    async def is_well(self, instance: Instance) -> bool:
        """Say whether its container runs, and its health check, if it has one, succeeds."""
        async with engine(self._engine) as docker:
            seen = await self._find(docker, instance.name)
        return seen is not None and containers.is_well(seen)

    async def power(self, action: Power, hold: Hold | None, report: Report) -> None:
        """Start, stop or restart the container; its files stay."""
        if hold is None:
            raise DriverError("a container is there, and has power, only while it is held")
        async with engine(self._engine) as docker:
            container = docker.containers.container((await self._need(docker, hold.instance))["Id"])
            if action is Power.OFF:
                await container.stop(t=_GRACE_S)
                return
            await (container.start() if action is Power.ON else container.restart(t=_GRACE_S))
            await containers.until_well(container, report)

    async def console(self, hold: Hold) -> Channel:
        """Attach to the terminal of the command. What it has shown so far comes first."""
        if not self.has_console:
            raise DriverError("its command has no terminal; that takes `tty: true` in the options")
        async with AsyncExitStack() as opened:
            docker = await opened.enter_async_context(engine(self._engine))
            seen = await self._need(docker, hold.instance)
            console = await Console.attach(docker.containers.container(seen["Id"]), opened)
        return console, console

    async def dial(self, hold: Hold, connection: Connection, port: int) -> Channel:
        """Connect to a port of the container, at the address that it has now."""
        async with engine(self._engine) as docker:
            seen = await self._need(docker, hold.instance)
        address = containers.address(seen)
        if not address and self._options.network != "host":
            network = self._options.network
            raise DriverError(f"the container has no address of its own on network {network!r}")
        return await super().dial(hold, Connection("docker", address or "localhost"), port)

    @property
    def _options(self) -> DockerOptions:
        assert isinstance(self.resource.options, DockerOptions)
        return self.resource.options

    @property
    def _engine(self) -> str:
        return address_or_usual(self._options.engine)

    async def _find(self, docker: aiodocker.Docker, name: str) -> containers.Seen | None:
        """Return what the engine says of an instance's container, if there is one of ours."""
        found = await _found(docker.containers.get(name_there(self.resource, name)))
        seen = None if found is None else await _found(found.show())
        if seen is None or not containers.is_of(seen["Config"].get("Labels"), self.resource):
            return None
        return seen

    async def _need(self, docker: aiodocker.Docker, name: str) -> containers.Seen:
        seen = await self._find(docker, name)
        if seen is None:
            raise DriverError(f"container {name_there(self.resource, name)} is gone")
        return seen


async def _found(answer: Coroutine[Any, Any, T]) -> T | None:
    """Return what the engine answers, `None` if it does not have it."""
    try:
        return await answer
    except aiodocker.DockerError as error:
        if error.status == 404:
            return None
        raise


async def _need_image(docker: aiodocker.Docker, image: str) -> None:
    if await _found(docker.images.inspect(image)) is None:
        advice = f"`docker pull {image}` or `docker build` there gets it"
        raise DriverError(f"the Docker engine has no image {image}; {advice}")


async def _create(
    docker: aiodocker.Docker, name: str, config: Mapping[str, Any]
) -> DockerContainer:
    """Create a container. The engine goes on for itself, whoever is cancelled meanwhile."""
    return await seen_through(docker.containers.create(config, name=name))
