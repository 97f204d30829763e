"""Channels to the two services, and their typed stubs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hwprovisioner.client.beater import Beater
from hwprovisioner.client.our_grpc import grpc
from hwprovisioner.v1.allocate_service_pb2_grpc import AllocateServiceStub
from hwprovisioner.v1.heartbeat_service_pb2_grpc import HeartbeatServiceStub

if TYPE_CHECKING:
    from hwprovisioner.v1.allocate_service_pb2_grpc import AllocateServiceAsyncStub
    from hwprovisioner.v1.heartbeat_service_pb2_grpc import HeartbeatServiceAsyncStub

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    # Finds dead connections; whether a holder lives is for heartbeats to say. Servers allow 5 s.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A server that comes back is found within a second or two, not after gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Two retries on two levels multiply; ours knows about leases.
    ("grpc.enable_retries", 0),
    # A new channel is a new connection, or it would be no help against one that is half open.
    ("grpc.use_local_subchannel_pool", 1),
    # A page of 1,000 resources with many labels.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
)


_FAREWELL_S = 5.0
"""Calls of others on a connection that is left may go on for so long."""


class Channels:
    """One channel for each service, opened in the running event loop."""

    def __init__(self, allocate_address: str, heartbeat_address: str) -> None:
        self._heartbeat_address = heartbeat_address
        self._closing: set[asyncio.Task[None]] = set()
        self._allocate = grpc.aio.insecure_channel(allocate_address, options=CHANNEL_OPTIONS)
        self._heartbeat = grpc.aio.insecure_channel(heartbeat_address, options=CHANNEL_OPTIONS)
        self.allocate: AllocateServiceAsyncStub = AllocateServiceStub(self._allocate)
        self.heartbeat: HeartbeatServiceAsyncStub = HeartbeatServiceStub(self._heartbeat)
        self.beater = Beater(self)
        """Sends the heartbeats of all leases together."""

    def renew_heartbeat(self, silent: HeartbeatServiceAsyncStub) -> None:
        """Beats over a new connection from now on, unless `silent` is not the one in use.

        A connection that is half open gives no answers, and gRPC takes half a minute to notice:
        longer than many a lease.
        """
        if silent is not self.heartbeat:
            return
        old = self._heartbeat
        self._heartbeat = grpc.aio.insecure_channel(
            self._heartbeat_address, options=CHANNEL_OPTIONS
        )
        self.heartbeat = HeartbeatServiceStub(self._heartbeat)
        task = asyncio.create_task(old.close(_FAREWELL_S), name="hwp-close-channel")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Closes both; calls that run on them are cancelled."""
        await self.beater.close()
        await self._allocate.close()
        await self._heartbeat.close()
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
