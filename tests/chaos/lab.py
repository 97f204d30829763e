"""The lab under test: real processes, a real Redis, and a proxy on each way between them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from chaos.client import Setup
from chaos.clock import can_be_set, environ_of
from chaos.history import Recorder
from chaos.process import Process, bring_driver, environment
from support.redis_server import RedisServer, free_port
from support.set_clock import SetClock
from support.tcp_proxy import TcpProxy, proxy_to


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything there is."""

    allocates: int = 2
    heartbeats: int = 2
    managers: int = 3
    boards: int = 4
    """Of each manager."""
    clients: int = 2
    """Processes."""
    plain: int = 10
    """Clients in each that speak the protocol themselves."""
    sdk: int = 3
    """Clients in each that use the SDK."""


@dataclass
class Lab:
    """Everything that runs.

    Attributes:
        services: allocate and heartbeat replicas, by name.
        managers: by name.
        clients: processes of clients, by name.
        proxies: the ways between them, ``FROM>TO``.
        clock: that of Redis, if it can be set.
    """

    folder: Path
    seed: int
    size: Size
    redis: RedisServer
    history: Recorder
    services: dict[str, Process] = field(default_factory=dict)
    managers: dict[str, Process] = field(default_factory=dict)
    clients: dict[str, Process] = field(default_factory=dict)
    proxies: dict[str, TcpProxy] = field(default_factory=dict)
    clock: SetClock | None = None
    starts: int = 0

    @property
    def histories(self) -> Path:
        return self.folder / "histories"

    @property
    def processes(self) -> dict[str, Process]:
        return {**self.services, **self.managers, **self.clients}

    @property
    def allocates(self) -> list[str]:
        return [name for name in self.services if name.startswith("allocate")]

    def resources_of(self, manager: str) -> list[str]:
        return [f"{manager}-board-{n}" for n in range(self.size.boards)]

    @property
    def resources(self) -> list[str]:
        return [name for manager in self.managers for name in self.resources_of(manager)]

    async def start_client(self, name: str) -> None:
        """Start a process of clients, each time to do something else."""
        self.starts += 1
        setup = self._setup(name)
        await self.clients[name].start(**setup.environment)

    def _setup(self, name: str) -> Setup:
        def ways(kind: str) -> list[str]:
            wanted = f"{name}>{kind}-"
            found = (proxy for way, proxy in self.proxies.items() if way.startswith(wanted))
            return [f"127.0.0.1:{proxy.port}" for proxy in found]

        return Setup(
            name,
            seed=f"{self.seed}/{self.starts}",
            histories=str(self.histories),
            allocate=ways("allocate"),
            heartbeat=ways("heartbeat"),
            plain=self.size.plain,
            sdk=self.size.sdk,
        )


@contextlib.asynccontextmanager
async def running(folder: Path, seed: int, size: Size) -> AsyncIterator[Lab]:
    """Run a lab whose boards are all free, until the block ends; clients are to be started."""
    history = Recorder(folder / "histories" / "lab.jsonl", "lab")
    clock = SetClock(folder / "clock") if can_be_set() else None
    told = environ_of(clock) if clock else None
    redis = RedisServer(durable=True, leash=True, environ=told)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(redis.close)
        redis.start()
        bring_driver(folder)
        lab = Lab(folder, seed, size, redis, history, clock=clock)
        stack.push_async_callback(_end, lab)
        await _add_services(lab, stack)
        await _add_managers(lab, stack)
        await _add_clients(lab, stack)
        for process in (*lab.services.values(), *lab.managers.values()):
            await process.start()
        await asyncio.gather(*(service.serves() for service in lab.services.values()))
        yield lab


async def _end(lab: Lab) -> None:
    await asyncio.gather(*(process.kill() for process in lab.processes.values()))


async def _way(lab: Lab, stack: contextlib.AsyncExitStack, name: str, port: int) -> int:
    proxy = await stack.enter_async_context(proxy_to(port))
    lab.proxies[name] = proxy
    return proxy.port


async def _add_services(lab: Lab, stack: contextlib.AsyncExitStack) -> None:
    counts = (("allocate", lab.size.allocates), ("heartbeat", lab.size.heartbeats))
    for kind, count in counts:
        for n in range(1, count + 1):
            name, port = f"{kind}-{n}", free_port()
            way = await _way(lab, stack, f"{name}>redis", lab.redis.port)
            told = {
                "HWP_BIND": "127.0.0.1",
                f"HWP_{kind.upper()}_PORT": str(port),
                "HWP_REDIS_URL": f"redis://127.0.0.1:{way}/0",
                "HWP_SILENCE_LIMIT": "4s",
                "HWP_LOST_LIMIT": "6s",
                "HWP_OFFER_LIMIT": "4s",
            }
            lab.services[name] = Process(
                *(name, f"hwprovisioner.{kind}", environment(lab.folder, **told)),
                *(lab.folder / f"{name}.log", port),
            )


async def _add_managers(lab: Lab, stack: contextlib.AsyncExitStack) -> None:
    for n in range(1, lab.size.managers + 1):
        name, port = f"manager-{n}", free_port()
        ways = [
            await _way(lab, stack, f"{name}>{service}", lab.services[service].port)
            for service in lab.allocates
        ]
        config = lab.folder / f"{name}.yml"
        config.write_text(_resources_file(lab, name))
        told = {
            "ALLOCATE_API": "ipv4:" + ",".join(f"127.0.0.1:{way}" for way in ways),
            "CONFIG_FILE": str(config),
            "HWP_STATE_DIR": str(lab.folder / "state"),
            "HWP_MANAGER_ID": name,
            "HWP_MANAGER_PORT": str(port),
            "HWP_BIND": "127.0.0.1",
        }
        lab.managers[name] = Process(
            *(name, "hwprovisioner.resourcemanager", environment(lab.folder, **told)),
            *(lab.folder / f"{name}.log", port),
        )


async def _add_clients(lab: Lab, stack: contextlib.AsyncExitStack) -> None:
    for n in range(1, lab.size.clients + 1):
        name = f"client-{n}"
        for service, process in lab.services.items():
            await _way(lab, stack, f"{name}>{service}", process.port)
        lab.clients[name] = Process(
            name, "chaos.client", environment(lab.folder), lab.folder / f"{name}.log"
        )


def _resources_file(lab: Lab, manager: str) -> str:
    options = f"options: {{histories: {lab.histories}}}"
    lines = [
        f"    {name}: {{driver: chaos, kind: edge, cpu: 2, {options}}}"
        for name in lab.resources_of(manager)
    ]
    return "resources:\n  static:\n" + "\n".join(lines) + "\n"


def journal_of(lab: Lab, manager: str) -> Path:
    """Return where a manager keeps its journal."""
    return lab.folder / "state" / f"resourcemanager-{manager}.journal"
