"""Keeps the stream to the lab up: connects, registers, reconnects."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import grpc.aio

from hwprovisioner.resourcemanager import codec
from hwprovisioner.resourcemanager.agent import Agent
from hwprovisioner.resourcemanager.backoff import RECONNECT, Backoff
from hwprovisioner.resourcemanager.outbox import Outbox
from hwprovisioner.resourcemanager.refusals import final_refusal, superseded, words
from hwprovisioner.v1 import allocate_service_pb2_grpc as services
from hwprovisioner.v1 import manager_stream_pb2 as stream

_log = logging.getLogger(__name__)

#: How long the lab may take to answer a registration.
REGISTER_LIMIT_S = 20.0
#: How long a farewell may take: what is still to be said, then the end of the stream.
FAREWELL_LIMIT_S = 2.0

#: The retry loop here has its own backoff, so the channel's must not add to it. Keepalive finds
#: dead sockets sooner; what counts is the silence limit.
OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A new channel is a new connection, or it would be no help against one that is half open.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
)

_Call = grpc.aio.StreamStreamCall[stream.SubscribeRequest, stream.SubscribeResponse]


class Link:
    """One manager's connection to the lab."""

    def __init__(
        self,
        agent: Agent,
        target: str,
        stopping: asyncio.Event,
        *,
        shown: Callable[[bool], None] = lambda is_up: None,
        backoff: Backoff = RECONNECT,
    ) -> None:
        self._agent = agent
        self._target = target
        self._stopping = stopping
        self._shown = shown
        self._backoff = backoff
        self._tries = 0
        self._is_silent = False

    async def run(self) -> None:
        """Stay subscribed until `stopping` is set, then say farewell.

        Raises:
            RefusedByLab: The lab will not have this manager; connecting again would not help.
        """
        while not self._stopping.is_set():
            async with grpc.aio.insecure_channel(self._target, options=OPTIONS) as channel:
                await self._stay(services.AllocateServiceStub(channel))

    async def _stay(self, stub: services.AllocateServiceAsyncStub) -> None:
        """Stay subscribed over one channel until `stopping` is set, or nothing is heard there."""
        self._agent.channels.carry = stub.CarryChannel
        self._is_silent = False
        while not self._stopping.is_set() and not self._is_silent:
            trouble = await self._subscribe(stub.Subscribe())
            if self._stopping.is_set():
                return
            self._tries += 1
            delay_s = self._backoff.delay_s(self._tries)
            _log.warning("%s: %s; next try in %.1f s", self._target, trouble, delay_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._stopping.wait()

    async def _subscribe(self, call: _Call) -> str:
        """Live through one stream and return why it ended.

        Raises:
            RefusedByLab: There should not be another one.
        """
        stop = asyncio.create_task(self._stopping.wait(), name="stop before registered")
        live = asyncio.create_task(self._live(call), name="stream")
        try:
            # Until it is registered nothing is worth waiting for; after that, the session says
            # farewell itself.
            await asyncio.wait([live, stop], return_when=asyncio.FIRST_COMPLETED)
            if not live.done():
                await asyncio.wait([live], timeout=FAREWELL_LIMIT_S)
            return await live if live.done() else "stopping"
        except grpc.aio.AioRpcError as error:
            refusal = final_refusal(error)
            if refusal is not None:
                raise refusal from error
            return words(error)
        finally:
            stop.cancel()
            live.cancel()
            call.cancel()
            await asyncio.wait([live, stop])
            self._agent.disconnected()
            self._shown(False)

    async def _live(self, call: _Call) -> str:
        try:
            async with asyncio.timeout(REGISTER_LIMIT_S):
                silence_s = await self._register(call)
        except TimeoutError:
            self._is_silent = True
            return "no answer to the registration"
        if silence_s is None:
            return "the stream was closed"
        outbox = Outbox()
        writing = asyncio.create_task(_write(call, outbox), name="stream writer")
        leaving = asyncio.create_task(self._leave(outbox), name="stream farewell")
        self._agent.connected(outbox.put)
        self._shown(True)
        self._tries = 0
        try:
            while True:
                async with asyncio.timeout(silence_s):
                    message = await call.read()
                if not isinstance(message, stream.SubscribeResponse):
                    return "the stream was closed"
                self._take(message, outbox)
        except TimeoutError:
            self._is_silent = True
            return f"nothing was heard for {silence_s:g} s"
        finally:
            writing.cancel()
            leaving.cancel()
            await asyncio.wait([writing, leaving])

    async def _register(self, call: _Call) -> float | None:
        """Register and return the silence limit in seconds; `None` if the stream ended instead."""
        with contextlib.suppress(asyncio.InvalidStateError):
            # When the call failed at once, what it failed with is found by reading.
            await call.write(self._agent.registration())
        while True:
            message = await call.read()
            if not isinstance(message, stream.SubscribeResponse):
                return None
            if message.HasField("registered"):
                registered = message.registered
                _log.info("registered as %s, epoch %d", self._agent.manager_id, registered.epoch)
                silence_s = registered.silence_limit.ToMilliseconds() / 1000
                return max(1.0, silence_s) if silence_s else 60.0

    def _take(self, message: stream.SubscribeResponse, outbox: Outbox) -> None:
        if message.HasField("ping"):
            outbox.put(codec.pong())
        elif message.refused.reason == "SUPERSEDED":
            raise superseded()
        else:
            self._agent.receive(message)

    async def _leave(self, outbox: Outbox) -> None:
        """Once stopping, take everything back and close; the lab then ends the stream."""
        await self._stopping.wait()
        self._agent.withdraw_all()
        outbox.close()


async def _write(call: _Call, outbox: Outbox) -> None:
    # A write on a stream that has ended fails; why it ended is what the reader finds.
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        while (message := await outbox.get()) is not None:
            await call.write(message)
        await call.done_writing()
