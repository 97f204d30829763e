"""The release of an allocation."""

from __future__ import annotations

import asyncio
import random

from hwprovisioner.client.backoff import full_jitter
from hwprovisioner.client.channel import Channels
from hwprovisioner.client.failures import is_worth_retrying
from hwprovisioner.client.our_grpc import grpc
from hwprovisioner.v1.allocate_service_pb2 import ReleaseAllocationRequest


async def give_back(channels: Channels, allocation_id: str, token: str, limit_s: float) -> str:
    """Releases, again while the lab is away, for at most so long.

    Waits by the event loop's own clock: this is a limit for people, not part of a lease.

    Returns:
        Nothing if it worked or there was nothing left to release; else why it did not.
    """
    request = ReleaseAllocationRequest(allocation_id=allocation_id, token=token)
    trouble = "the lab did not answer"
    try:
        async with asyncio.timeout(limit_s):
            for failures in range(1, 1_000):
                try:
                    await channels.allocate.ReleaseAllocation(request, timeout=limit_s)
                except grpc.aio.AioRpcError as error:
                    trouble = f"{error.code().name} {error.details()}"
                    if not is_worth_retrying(error):
                        return "" if error.code() is grpc.StatusCode.NOT_FOUND else trouble
                    await asyncio.sleep(full_jitter(failures, random.random()))  # noqa: S311
                else:
                    return ""
    except TimeoutError:
        pass
    return trouble
