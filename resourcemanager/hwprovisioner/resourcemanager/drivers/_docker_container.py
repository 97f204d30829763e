"""What a container is made of, and how it is doing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from aiodocker.containers import DockerContainer as Container

from hwprovisioner.resourcemanager.driver import Report
from hwprovisioner.resourcemanager.drivers._docker_options import DockerOptions
from hwprovisioner.resourcemanager.drivers._waiting import until
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.model import Instance, Resource

#: What a container is marked with, so that whoever made it finds it again.
RESOURCE_LABEL = "hwprovisioner.resource"
INSTANCE_LABEL = "hwprovisioner.instance"
MARK_LABEL = "hwprovisioner.mark"

#: A command that ends sooner has ended at once: it is none that stays.
_AT_ONCE_S = 0.2

#: What an engine says of a container that is asked for.
Seen = Mapping[str, Any]


def is_of(labels: Mapping[str, str] | None, resource: Resource) -> bool:
    """Say whether a container is one of a resource's, by its labels."""
    has = labels or {}
    return has.get(RESOURCE_LABEL) == resource.name and has.get(MARK_LABEL) == resource.mark


def wanted(
    resource: Resource, options: DockerOptions, instance: Instance, image: str
) -> Mapping[str, Any]:
    """Return what the engine is asked to create."""
    share = instance.share
    config: dict[str, Any] = {
        "Image": image,
        "Labels": {
            RESOURCE_LABEL: resource.name,
            INSTANCE_LABEL: instance.name,
            MARK_LABEL: resource.mark,
        },
        "Env": [f"{name}={text}" for name, text in options.environment.items()],
        "User": options.user,
        "Tty": options.tty,
        "OpenStdin": options.tty,
        "HostConfig": {
            "NetworkMode": options.network,
            # 0 is no limit: nobody said what an exclusive resource has.
            "NanoCpus": share.cpus * 10**9,
            "Memory": share.memory_bytes,
            # Of both together, so that nothing is swapped past the limit.
            "MemorySwap": share.memory_bytes,
        },
    }
    if options.command is not None:
        config["Cmd"] = options.command
    if share.gpus:
        cards = [options.gpu_devices[place] for place in share.gpus]
        request = {"Driver": "nvidia", "DeviceIDs": cards, "Capabilities": [["gpu"]]}
        config["HostConfig"]["DeviceRequests"] = [request]
    return config


def address(seen: Seen) -> str:
    """Return the address of a container on its network; empty if it has none of its own."""
    networks = seen["NetworkSettings"].get("Networks") or {}
    return next((str(one["IPAddress"]) for one in networks.values() if one["IPAddress"]), "")


def is_well(seen: Seen) -> bool:
    """Say whether a container runs, and its health check, if it has one, succeeds."""
    state = seen["State"]
    return bool(state["Running"]) and _health(state) in ("", "none", "healthy")


async def until_it_stays(container: Container, report: Report) -> None:
    """Return once a container that was just started is well, and has run for a moment.

    Raises:
        DriverError: It has ended, or its health check fails.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_AT_ONCE_S):
            await container.wait()
    await until_well(container, report)


async def until_well(container: Container, report: Report) -> Seen:
    """Return what the engine says of a container once it is well.

    Raises:
        DriverError: It has ended, or its health check fails.
    """
    seen: Seen = await container.show()

    async def look() -> str:
        nonlocal seen
        seen = await container.show()
        if is_well(seen):
            return ""
        await _raise_trouble(container, seen["State"])
        return "it is not well yet"

    if not is_well(seen):
        await until(look, "the container's health check", report)
    return seen


async def _raise_trouble(container: Container, state: Mapping[str, Any]) -> None:
    if _health(state) == "unhealthy":
        log = state["Health"].get("Log") or [{}]
        output = str(log[-1].get("Output", "")).strip()
        raise DriverError(f"the container's health check fails: {output[-500:]}")
    if not state["Running"]:
        words = "".join(await container.log(stdout=True, stderr=True, tail=1)).strip()
        raise DriverError(_ending(state, words))


def _ending(state: Mapping[str, Any], words: str) -> str:
    """Return why a container that should run does not."""
    if state.get("OOMKilled"):
        return "the container used more memory than its share, and was killed"
    if state.get("Error"):
        return f"the container could not be started: {state['Error']}"
    said = f": {words[-500:]}" if words else ""
    advice = "options.command has to be one that stays, such as `sleep infinity`"
    return f"the container's command ended at once with status {state['ExitCode']}{said}; {advice}"


def _health(state: Mapping[str, Any]) -> str:
    return str((state.get("Health") or {}).get("Status", ""))
