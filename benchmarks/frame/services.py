"""The real services on a stage, each a process of its own as in a lab."""

from collections.abc import Mapping
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from benchmarks.frame.stage import RedisServer, Stage, free_port
from hwprovisioner.v1 import allocate_service_pb2, allocate_service_pb2_grpc
from hwprovisioner.v1.resource_pb2 import PRESENCE_ONLINE

_LOOK_LIMIT_S = 1.0
_QUIET = {"HWP_LOG_LEVEL": "error"}


def allocate(
    stage: Stage,
    redis: RedisServer,
    name: str = "allocate",
    settings: Mapping[str, str] | None = None,
) -> str:
    """Run Allocate until the stage ends; returns its address once it serves."""
    port = free_port()
    given = {"HWP_ALLOCATE_PORT": str(port), "HWP_REDIS_URL": redis.unix_url, **(settings or {})}
    return _serving(stage, name, ["hwp-allocate"], port, given)


def heartbeat(
    stage: Stage,
    redis: RedisServer,
    *arguments: str,
    name: str = "heartbeat",
    settings: Mapping[str, str] | None = None,
) -> str:
    """Run Heartbeat until the stage ends; returns its address once it serves."""
    port = free_port()
    given = {"HWP_HEARTBEAT_PORT": str(port), "HWP_REDIS_URL": redis.unix_url, **(settings or {})}
    return _serving(stage, name, ["hwp-heartbeat", *arguments], port, given)


def manager(stage: Stage, allocate: str, resources: int, name: str = "manager") -> None:
    """Run a resource manager until the stage ends: this machine, so many times, lent as it is.

    Its driver does nothing. Returns once all of it can be lent.
    """
    config = stage.folder / f"{name}.yml"
    config.write_text(_config(name, resources))
    port = free_port()
    given = {
        **_QUIET,
        "ALLOCATE_API": allocate,
        "CONFIG_FILE": str(config),
        "HWP_MANAGER_ID": name,
        "HWP_MANAGER_PORT": str(port),
        "HWP_STATE_DIR": str(_folder(stage, name)),
    }

    def is_online() -> bool:
        return online(allocate) >= resources

    stage.start(name, ["hwp-resourcemanager"], ready=is_online, environment=given)


def online(allocate: str) -> int:
    """Return how many resources can be lent."""
    request = allocate_service_pb2.ListResourcesRequest(page_size=1000)
    found = 0
    with grpc.insecure_channel(allocate) as channel:
        stub = allocate_service_pb2_grpc.AllocateServiceStub(channel)
        while True:
            page = stub.ListResources(request, timeout=_LOOK_LIMIT_S)
            found += sum(each.presence == PRESENCE_ONLINE for each in page.resources)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token


def _config(name: str, resources: int) -> str:
    lines = [f"    {name}-{n}: {{driver: local, kind: physical}}" for n in range(resources)]
    return "\n".join(["resources:", "  static:", *lines, ""])


def _folder(stage: Stage, name: str) -> Path:
    folder = stage.folder / f"{name}.state"
    folder.mkdir()
    return folder


def _serving(
    stage: Stage, name: str, command: list[str], port: int, given: Mapping[str, str]
) -> str:
    address = f"127.0.0.1:{port}"
    stage.start(name, command, ready=lambda: _is_serving(address), environment={**_QUIET, **given})
    return address


def _is_serving(address: str) -> bool:
    with grpc.insecure_channel(address) as channel:
        try:
            said = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=_LOOK_LIMIT_S
            )
        except grpc.RpcError:
            return False
    return bool(said.status == health_pb2.HealthCheckResponse.SERVING)
