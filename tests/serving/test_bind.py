"""Serving: addresses and ports that are bound, or cannot be."""

import grpc
import grpc.aio
import pytest

from hwprovisioner.serving import BindError, bind
from support import needs
from support.grpc_server import Running


async def test_a_port_that_is_taken_is_reported_with_what_to_do(running: Running) -> None:
    other = grpc.aio.server()
    with pytest.raises(BindError) as failure:
        bind(other, "127.0.0.1", running.port, setting="HWP_ALLOCATE_PORT")
    for part in (str(running.port), "already in use", "HWP_ALLOCATE_PORT", "ss -ltnp"):
        assert part in str(failure.value)


async def test_an_address_that_is_not_here_is_reported() -> None:
    with pytest.raises(BindError, match="HWP_BIND"):
        bind(grpc.aio.server(), "192.0.2.1", 0, setting="HWP_ALLOCATE_PORT")


async def test_ipv6_is_bound_too() -> None:
    needs.ipv6()
    server = grpc.aio.server()
    assert bind(server, "::1", 0, setting="HWP_ALLOCATE_PORT") > 0
