"""Pings that find dead sockets: what one side sends, the other side must allow."""

from collections.abc import Sequence
from typing import Any

import pytest

from hwprovisioner.client.channel import CHANNEL_OPTIONS
from hwprovisioner.resourcemanager import link
from hwprovisioner.serving.server import SERVER_OPTIONS

SERVER = dict(SERVER_OPTIONS)


@pytest.mark.parametrize("options", [CHANNEL_OPTIONS, link.OPTIONS], ids=["holder", "manager"])
def test_nobody_pings_as_often_as_servers_end_connections_for(
    options: Sequence[tuple[str, Any]],
) -> None:
    ours = dict(options)
    allowed_ms = SERVER["grpc.http2.min_ping_interval_without_data_ms"]
    assert ours["grpc.keepalive_time_ms"] >= 2 * allowed_ms
    assert ours["grpc.keepalive_permit_without_calls"] == 1
    # Otherwise C-core sends two pings without data, and then no more.
    assert ours["grpc.http2.max_pings_without_data"] == 0


@pytest.mark.parametrize(
    "options", [CHANNEL_OPTIONS, link.OPTIONS, SERVER_OPTIONS], ids=["holder", "manager", "server"]
)
def test_dead_sockets_are_found_within_half_a_minute(options: Sequence[tuple[str, Any]]) -> None:
    ours = dict(options)
    assert ours["grpc.keepalive_time_ms"] + ours["grpc.keepalive_timeout_ms"] <= 30_000
