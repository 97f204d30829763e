"""A stand-in for a service: says SERVING on its port until SIGTERM; may misbehave as it is told.

STAND_IN_<NAME> in its environment: `dies` (at once), `refuses` (status 78), `deaf` (to SIGTERM).
"""

import asyncio
import os
import signal
import sys

import grpc.aio
from grpc_health.v1 import health_pb2_grpc  # type: ignore[import-untyped]

from hwprovisioner.serving import Readiness


async def main(name: str) -> None:
    how = os.environ.get(f"STAND_IN_{name.upper()}", "")
    say(f"{name} here, pid {os.getpid()}, redis {os.environ.get('HWP_REDIS_URL', 'unknown')}")
    if how == "dies":
        sys.exit("no way")
    if how == "refuses":
        sys.exit(78)
    stopping = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(
            each, (lambda: None) if how == "deaf" else stopping.set
        )
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    health_pb2_grpc.add_HealthServicer_to_server(Readiness([]), server)
    port = os.environ[f"HWP_{name.upper()}_PORT"]
    server.add_insecure_port(f"{os.environ['HWP_BIND']}:{port}")
    await server.start()
    await stopping.wait()
    await server.stop(0)
    say(f"{name} stops")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def run(name: str) -> None:
    asyncio.run(main(name))
