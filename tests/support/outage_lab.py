"""A lab of real processes whose ways to Redis can be cut one by one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from chaos.process import Process, environment
from hwprovisioner.client import AsyncLab, LabError
from hwprovisioner.v1.allocation_pb2 import Allocation, AllocationState, EndReason
from support.eventually import eventually
from support.recorded_hardware import RecordedHardware
from support.redis_server import RedisServer, free_port
from support.tcp_proxy import TcpProxy, proxy_to

LIMIT_S = 30.0


@dataclass
class OutageLab:
    """What runs.

    Attributes:
        heartbeats: replicas, with the port of each.
        ways: from each heartbeat replica to Redis.
    """

    folder: Path
    redis: RedisServer
    hardware: RecordedHardware
    allocate: Process
    heartbeats: list[Process]
    ways: list[TcpProxy]

    def target(self, process: Process) -> str:
        return f"127.0.0.1:{process.port}"

    def sdk(self, heartbeat: int = 0) -> AsyncLab:
        """Give an SDK that beats at that replica."""
        return AsyncLab(self.target(self.allocate), self.target(self.heartbeats[heartbeat]))

    def environment(self, heartbeat: int = 0) -> dict[str, str]:
        """Give what a user exports."""
        return environment(
            self.folder,
            ALLOCATE_API=self.target(self.allocate),
            HEARTBEAT_API=self.target(self.heartbeats[heartbeat]),
            XDG_STATE_HOME=str(self.folder / "client"),
        )

    async def states(self) -> dict[str, str]:
        """Tell where each allocation is in its life; nothing while the lab is away."""
        async with self.sdk() as lab:
            try:
                found = await lab.list_allocations()
            except LabError:
                return {}
        return {each.id: _state(each) for each in found}


def _state(allocation: Allocation) -> str:
    """READY, QUEUED, or why it has ended."""
    if allocation.end_reason:
        return EndReason.Name(allocation.end_reason).removeprefix("END_REASON_")
    return AllocationState.Name(allocation.state).removeprefix("ALLOCATION_STATE_")


async def longer_than(seconds: float) -> None:
    """Let time pass: an outage lasts as long as it does."""
    loop = asyncio.get_running_loop()
    over = loop.time() + seconds
    await eventually(lambda: loop.time() > over, within=2 * seconds)


@contextlib.asynccontextmanager
async def running(
    folder: Path, *boards: str, heartbeats: int = 1, outage_limit: str = "150s"
) -> AsyncIterator[OutageLab]:
    """Run a lab with free boards until the block ends."""
    redis = RedisServer(durable=True)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(redis.close)
        redis.start()
        hardware = RecordedHardware(folder / "hardware", *boards)
        ways = [await stack.enter_async_context(proxy_to(redis.port)) for _ in range(heartbeats)]

        def service(name: str, kind: str, redis_port: int, **told: str) -> Process:
            port = free_port()
            told |= {
                "HWP_BIND": "127.0.0.1",
                f"HWP_{kind.upper()}_PORT": str(port),
                "HWP_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
            }
            module = f"hwprovisioner.{kind}"
            return Process(name, module, environment(folder, **told), folder / f"{name}.log", port)

        lab = OutageLab(
            folder,
            redis,
            hardware,
            service("allocate", "allocate", redis.port),
            [
                service(f"heartbeat-{n}", "heartbeat", way.port, HWP_OUTAGE_LIMIT=outage_limit)
                for n, way in enumerate(ways)
            ],
            ways,
        )
        manager = _manager(lab)
        for process in (lab.allocate, *lab.heartbeats, manager):
            stack.push_async_callback(process.kill)
            await process.start()
        for process in (lab.allocate, *lab.heartbeats):
            await process.serves()
        await eventually(lambda: _all_free(lab, len(boards)), within=LIMIT_S)
        yield lab


def _manager(lab: OutageLab) -> Process:
    config = lab.folder / "resources.yml"
    config.write_text(lab.hardware.resources)
    told = {
        "ALLOCATE_API": lab.target(lab.allocate),
        "CONFIG_FILE": str(config),
        "HWP_STATE_DIR": str(lab.folder / "state"),
        "HWP_MANAGER_ID": "m",
        "HWP_MANAGER_PORT": "0",
        "HWP_BIND": "127.0.0.1",
    }
    return Process(
        *("manager", "hwprovisioner.resourcemanager", environment(lab.folder, **told)),
        lab.folder / "manager.log",
    )


async def _all_free(lab: OutageLab, boards: int) -> bool:
    async with lab.sdk() as sdk:
        return len((await sdk.list_resources(free=True)).items) == boards
