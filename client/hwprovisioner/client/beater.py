"""The heartbeats of one process: those of all its leases in one call.

Each lease has its own pulse, which says when it beats and how long it waits for the answer. A call
takes along whoever would beat soon; the lab tells all of one call the same delay, so they go on
together.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from hwprovisioner.client.failures import Report, decode, read_status
from hwprovisioner.client.our_grpc import grpc
from hwprovisioner.v1.heartbeat_service_pb2 import (
    BatchHeartbeatRequest,
    HeartbeatRequest,
    HeartbeatResponse,
)

if TYPE_CHECKING:
    from hwprovisioner.client.channel import Channels
    from hwprovisioner.v1.heartbeat_service_pb2_grpc import HeartbeatServiceAsyncStub

_log = logging.getLogger(__name__)

MOST_BEATS = 1000
"""In one call; the lab takes no more."""
QUIET_TURNS = 10
"""A call is sent when the event loop has turned so often without another beat."""

Result: TypeAlias = HeartbeatResponse | Report


class Beating(Protocol):
    """A lease that beats."""

    @property
    def request(self) -> HeartbeatRequest:
        """Its beat."""

    @property
    def is_over(self) -> bool:
        """Whether it must not be sent any more."""

    def come_along(self) -> None:
        """Others are about to beat: so does this one, if it would soon in any case."""


class Answer(NamedTuple):
    """What became of a beat."""

    result: Result
    draw: float
    """From 0 to 1, the same for all of one call: those that failed together try again together."""


@dataclass(slots=True)
class _Batch:
    stub: HeartbeatServiceAsyncStub
    results: asyncio.Future[Sequence[Result]]
    draw: float
    leases: list[Beating] = field(default_factory=list)
    timeouts_s: list[float] = field(default_factory=list)


class Beater:
    """Sends beats over the connection that is in use."""

    def __init__(self, channels: Channels) -> None:
        """Starts without any lease."""
        self._channels = channels
        self._leases: set[Beating] = set()
        self._gathered: _Batch | None = None
        self._calls: set[asyncio.Task[None]] = set()

    def add(self, lease: Beating) -> None:
        """From now on it comes along when others beat."""
        self._leases.add(lease)

    def remove(self, lease: Beating) -> None:
        """It is over."""
        self._leases.discard(lease)

    async def beat(self, lease: Beating, timeout_s: float) -> Answer:
        """Sends the beat of a lease, with those of others, and waits for its answer.

        When none comes in time, later beats go over a new connection: to another replica, perhaps.
        """
        batch = self._gathered or self._begin()
        place = len(batch.leases)
        batch.leases.append(lease)
        batch.timeouts_s.append(timeout_s)
        if place + 1 == MOST_BEATS:
            self._gathered = None
        try:
            async with asyncio.timeout(timeout_s):
                result = (await asyncio.shield(batch.results))[place]
        except TimeoutError:
            result = Report("DEADLINE_EXCEEDED", f"there was no answer within {timeout_s:.3g} s")
        if isinstance(result, Report) and result.code == "DEADLINE_EXCEEDED":
            self._channels.renew_heartbeat(batch.stub)
        return Answer(result, batch.draw)

    async def close(self) -> None:
        """Ends the calls under way."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def _begin(self) -> _Batch:
        loop = asyncio.get_running_loop()
        draw = random.random()  # noqa: S311
        batch = _Batch(self._channels.heartbeat, loop.create_future(), draw)
        self._gathered = batch
        loop.call_soon(self._turn, batch, 0, 0)
        for lease in self._leases:
            lease.come_along()
        return batch

    def _turn(self, batch: _Batch, count: int, quiet: int) -> None:
        """Looks, once a turn of the loop, whether there are more than `count` by now."""
        now = len(batch.leases)
        quiet = quiet + 1 if now == count else 0
        if quiet < QUIET_TURNS:
            asyncio.get_running_loop().call_soon(self._turn, batch, now, quiet)
            return
        if self._gathered is batch:
            self._gathered = None
        call = asyncio.create_task(self._send(batch), name="hwp-beat")
        self._calls.add(call)
        call.add_done_callback(self._ended)

    async def _send(self, batch: _Batch) -> None:
        # Whoever has fenced itself meanwhile would only keep its hosts from others.
        requests = {n: one.request for n, one in enumerate(batch.leases) if not one.is_over}
        results: list[Result] = [Report("CANCELLED", "it was given up")] * len(batch.leases)
        # The connection may have been renewed since, and closed.
        batch.stub = self._channels.heartbeat
        try:
            answers = await _call(batch.stub, list(requests.values()), max(batch.timeouts_s))
            for place, result in zip(requests, answers, strict=True):
                results[place] = result
        finally:
            batch.results.set_result(results)

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        if not call.cancelled() and (error := call.exception()):
            _log.error("heartbeats failed", exc_info=error)


async def _call(
    stub: HeartbeatServiceAsyncStub, requests: Sequence[HeartbeatRequest], timeout_s: float
) -> Sequence[Result]:
    """Sends beats and gives one result for each; a single one needs no batch."""
    try:
        match requests:
            case []:
                return []
            case [request]:
                return [await stub.Heartbeat(request, timeout=timeout_s)]
        response = await stub.BatchHeartbeat(
            BatchHeartbeatRequest(beats=requests), timeout=timeout_s
        )
    except grpc.aio.AioRpcError as error:
        return [decode(error)] * len(requests)
    return [
        each.response if each.HasField("response") else read_status(each.error)
        for each in response.results
    ]
