"""The EC2 API, call by call, by boto3 in threads.

A thread cannot be cancelled. What changes something is seen through even if the caller is
cancelled: nobody would find an instance that is not there yet.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.loaders import create_loader

from hwprovisioner.resourcemanager.drivers._ec2_options import Ec2Options
from hwprovisioner.resourcemanager.errors import DriverError, Later
from hwprovisioner.resourcemanager.threads import in_thread, seen_through

# It tells whole requests at DEBUG: their signatures, the session's token, the user data.
logging.getLogger("botocore").setLevel(logging.WARNING)

#: Used up now, perhaps not soon.
_LATER = frozenset(
    {
        "InstanceLimitExceeded",
        "VcpuLimitExceeded",
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientCapacity",
        "InsufficientFreeAddressesInSubnet",
        "InsufficientAddressCapacity",
        "InsufficientVolumeCapacity",
        "VolumeLimitExceeded",
        "MaxIOPSLimitExceeded",
        "RequestLimitExceeded",
        "Unavailable",
        "ServiceUnavailable",
    }
)
_CONFIG = Config(
    connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 3}
)
#: What describes the API is megabytes of JSON, which take a third of a second to read: once.
_LOADER = create_loader()


class Ec2Api:
    """One account and region, as the options say. Safe to share among tasks."""

    def __init__(self, options: Ec2Options) -> None:
        self._options = options
        self._making: asyncio.Lock = asyncio.Lock()
        self._client: Any = None

    async def read(self, call: str, **words: object) -> Mapping[str, Any]:
        """Call what changes nothing.

        Raises:
            Later: A quota is used up.
            DriverError: It did not work, in the API's words.
        """
        return await self._awaited(await self._method(call), words)

    async def change(self, call: str, **words: object) -> Mapping[str, Any]:
        """Call what changes something; whoever is cancelled meanwhile waits for its end.

        Raises:
            Later, DriverError: As in `read`.
        """
        method = await self._method(call)
        return await seen_through(self._awaited(method, words))

    async def pages(self, call: str, key: str, **words: object) -> list[Mapping[str, Any]]:
        """Call what answers in pages, and return what stands under a key of all of them.

        Raises:
            Later, DriverError: As in `read`.
        """
        method = await self._method("get_paginator")

        def collect(**words: object) -> dict[str, Any]:
            found = [item for page in method(call).paginate(**words) for item in page.get(key, ())]
            return {key: found}

        collected: list[Mapping[str, Any]] = (await self._awaited(collect, words))[key]
        return collected

    async def _method(self, call: str) -> Callable[..., Any]:
        async with self._making:
            if self._client is None:
                self._client = (await self._awaited(self._connect, {}))["client"]
        method: Callable[..., Any] = getattr(self._client, call)
        return method

    def _connect(self) -> dict[str, Any]:
        options = self._options
        shared = botocore.session.Session()
        shared.register_component("data_loader", _LOADER)
        session = boto3.Session(
            botocore_session=shared,
            region_name=options.region,
            profile_name=options.profile or None,
        )
        url = options.endpoint_url or None
        return {"client": session.client("ec2", endpoint_url=url, config=_CONFIG)}

    async def _awaited(
        self, call: Callable[..., Any], words: Mapping[str, object]
    ) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = await in_thread(call, **words)
        except ClientError as error:
            fault = error.response.get("Error", {})
            code, said = fault.get("Code", ""), fault.get("Message", "")
            kind = Later if code in _LATER else DriverError
            raise kind(f"EC2: {code}: {said}") from None
        except NoCredentialsError:
            where = "the manager's environment, ~/.aws and the role of its own instance"
            raise DriverError(f"EC2: there are no credentials in {where}") from None
        except (BotoCoreError, ValueError) as error:
            raise DriverError(f"EC2 in {self._options.region}: {error}") from None
        return answer
