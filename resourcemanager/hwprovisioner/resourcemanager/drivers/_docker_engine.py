"""Talks to a Docker engine, and says in words what it says in numbers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiodocker
import aiohttp

from hwprovisioner.resourcemanager.errors import DriverError, Later, system_words

#: Where an engine listens that nobody configured.
USUAL_ADDRESS = "unix:///var/run/docker.sock"
#: What an engine says when something is used up that others give back.
_USED_UP = ("no available IPv4 addresses", "no available network")


def address_or_usual(address: str) -> str:
    """Return an engine's address; where none is said, as the command `docker` finds it."""
    return address or os.environ.get("DOCKER_HOST", "") or USUAL_ADDRESS


@asynccontextmanager
async def engine(address: str) -> AsyncIterator[aiodocker.Docker]:
    """Talk to the engine at an address, until the block ends.

    Raises:
        Later: Something on the engine is used up.
        DriverError: The engine does not answer, or refuses.
    """
    docker = aiodocker.Docker(url=address)
    try:
        yield docker
    except aiodocker.DockerError as error:
        raise refusal(address, error) from error
    except (aiohttp.ClientError, OSError) as error:
        raise DriverError(_absence(address, error)) from error
    finally:
        await docker.close()


def refusal(address: str, error: aiodocker.DockerError) -> DriverError:
    """Return what the engine said as an error of a driver."""
    if isinstance(error.__context__, aiohttp.ClientError | OSError):
        return DriverError(_absence(address, error.__context__))
    words = error.message.strip()
    if any(used_up in words for used_up in _USED_UP):
        return Later(f"the Docker engine has no room now: {words}")
    return DriverError(f"the Docker engine refuses: {words}")


def _absence(address: str, error: Exception) -> str:
    why = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    words = system_words(why) if isinstance(why, OSError) else str(why)
    advice = f"does `docker --host {address} info`? `engine` in the options names another"
    return f"no Docker engine answers at {address}: {words or type(why).__name__}; {advice}"
