"""The lab under test: real processes, a real Redis, and a proxy on each way between them."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from chaos.client import Setup
from chaos.clock import can_be_set, environ_of
from chaos.follow import LogReader
from chaos.history import Recorder
from chaos.lab_redis import LabRedis, renaming, url_of
from chaos.process import Process, bring_driver, environment
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from support.redis_server import free_port
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
    ghosts: int = 4
    """Clients in each that ask and are gone."""


@dataclass
class Lab:
    """Everything that runs.

    Attributes:
        services: allocate and heartbeat replicas, by name.
        managers: by name.
        clients: processes of clients, by name.
        twins: managers that were started once more, until one of both is left.
        proxies: the ways between them, ``FROM>TO``.
        clock: that of Redis, if it can be set.
        reader: reads the change log along.
    """

    folder: Path
    seed: int
    size: Size
    redis: LabRedis
    history: Recorder
    reader: LogReader
    services: dict[str, Process] = field(default_factory=dict)
    managers: dict[str, Process] = field(default_factory=dict)
    twins: dict[str, Process] = field(default_factory=dict)
    clients: dict[str, Process] = field(default_factory=dict)
    proxies: dict[str, TcpProxy] = field(default_factory=dict)
    clock: SetClock | None = None
    starts: int = 0
    changes: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def histories(self) -> Path:
        return self.folder / "histories"

    @property
    def processes(self) -> dict[str, Process]:
        return {**self.services, **self.managers, **self.clients}

    @property
    def allocates(self) -> list[str]:
        return [name for name in self.services if name.startswith("allocate")]

    def change_inventory(self, manager: str) -> None:
        """Take one of a manager's boards away, bring back the one before, and change another."""
        self.changes[manager] += 1
        gone = self.changes[manager] % (self.size.boards + 1)
        _write_inventory(self, manager, gone, cpus=2 + self.changes[manager] % 2)

    def put_all_boards_back(self) -> None:
        """Whatever is still to be cleaned on one that was taken away can be, then."""
        for manager in self.changes:
            _write_inventory(self, manager, gone=None, cpus=2)

    def twin_of(self, manager: str) -> Process:
        """Return the manager once more, without its journal."""
        self.starts += 1
        port, state = free_port(), str(self.folder / f"state-{self.starts}")
        return self.managers[manager].twin(port, HWP_MANAGER_PORT=str(port), HWP_STATE_DIR=state)

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
            ghosts=self.size.ghosts,
        )


@contextlib.asynccontextmanager
async def running(
    folder: Path, seed: int, size: Size, *, has_replica: bool = False
) -> AsyncIterator[Lab]:
    """Run a lab whose boards are all free, until the block ends; clients are to be started."""
    history = Recorder(folder / "histories" / "lab.jsonl", "lab")
    clock = SetClock(folder / "clock") if can_be_set() else None
    told = environ_of(clock) if clock else None
    redis = LabRedis(has_replica=has_replica, environ=told)
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(redis.close)
        redis.start()
        bring_driver(folder)
        link = await stack.enter_async_context(Link(redis.url, client_name="chaos"))
        reader = LogReader(link, Keys(), Recorder(folder / "histories" / "log.jsonl", "log"))
        lab = Lab(folder, seed, size, redis, history, reader, clock=clock)
        stack.push_async_callback(_end, lab)
        await _add_services(lab, stack)
        await _add_managers(lab, stack)
        await _add_clients(lab, stack)
        for process in (*lab.services.values(), *lab.managers.values()):
            await process.start()
        await asyncio.gather(*(service.serves() for service in lab.services.values()))
        yield lab


async def _end(lab: Lab) -> None:
    processes = (*lab.processes.values(), *lab.twins.values())
    await asyncio.gather(*(process.kill() for process in processes))


async def _way(lab: Lab, stack: contextlib.AsyncExitStack, name: str, port: int) -> int:
    proxy = await stack.enter_async_context(proxy_to(port))
    lab.proxies[name] = proxy
    return proxy.port


async def _ways_to_redis(lab: Lab, stack: contextlib.AsyncExitStack, name: str) -> str:
    """Return where a service finds Redis, over ways of its own."""
    sentinel = lab.redis.sentinel
    if sentinel is None:
        way = await _way(lab, stack, f"{name}>redis", lab.redis.master.port)
        return f"redis://127.0.0.1:{way}/0"
    ports = {
        server.port: await _way(lab, stack, f"{name}>redis-{n}", server.port)
        for n, server in enumerate(lab.redis.servers, 1)
    }
    way = await _way(lab, stack, f"{name}>sentinel", sentinel.port)
    lab.proxies[f"{name}>sentinel"].rewrite = renaming(ports)
    return url_of(way)


async def _add_services(lab: Lab, stack: contextlib.AsyncExitStack) -> None:
    counts = (("allocate", lab.size.allocates), ("heartbeat", lab.size.heartbeats))
    for kind, count in counts:
        for n in range(1, count + 1):
            name, port = f"{kind}-{n}", free_port()
            told = {
                "HWP_BIND": "127.0.0.1",
                f"HWP_{kind.upper()}_PORT": str(port),
                "HWP_REDIS_URL": await _ways_to_redis(lab, stack, name),
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
        _write_inventory(lab, name, gone=lab.size.boards, cpus=2)
        told = {
            "ALLOCATE_API": "ipv4:" + ",".join(f"127.0.0.1:{way}" for way in ways),
            "CONFIG_FILE": str(_config_of(lab, name)),
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


def _config_of(lab: Lab, manager: str) -> Path:
    return lab.folder / f"{manager}.yml"


def _write_inventory(lab: Lab, manager: str, gone: int | None, cpus: int) -> None:
    """Write down all boards of a manager but one, all alike but for one's processors."""
    what = f"driver: chaos, kind: edge, options: {{histories: {lab.histories}}}"
    lines = [
        f"    {manager}-board-{n}: {{cpu: {2 if n else cpus}, {what}}}"
        for n in range(lab.size.boards + 1)
        if n != gone
    ]
    new = lab.folder / f"{manager}.new"
    new.write_text("resources:\n  static:\n" + "\n".join(lines) + "\n")
    new.rename(_config_of(lab, manager))


def journal_of(lab: Lab, manager: str) -> Path:
    """Return where a manager keeps its journal."""
    folder = Path(lab.managers[manager].told("HWP_STATE_DIR"))
    return folder / f"resourcemanager-{manager}.journal"
