"""Channels to the two services, and their typed stubs."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    # A page of 1,000 resources with many labels.
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
)


class Channels:
    """One channel for each service, opened in the running event loop."""

    def __init__(self, allocate_address: str, heartbeat_address: str) -> None:
        self._allocate = grpc.aio.insecure_channel(allocate_address, options=CHANNEL_OPTIONS)
        self._heartbeat = grpc.aio.insecure_channel(heartbeat_address, options=CHANNEL_OPTIONS)
        self.allocate: AllocateServiceAsyncStub = AllocateServiceStub(self._allocate)
        self.heartbeat: HeartbeatServiceAsyncStub = HeartbeatServiceStub(self._heartbeat)

    async def close(self) -> None:
        """Closes both; calls that run on them are cancelled."""
        await self._allocate.close()
        await self._heartbeat.close()
