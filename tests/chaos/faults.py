"""What can go wrong: a registry of faults, each with what it hits and how long it lasts.

A fault that is to come is one more entry of `FAULTS`.
"""

import asyncio
import signal

from chaos.fault import (
    REDIS,
    Fault,
    Targets,
    clients,
    everything,
    managers,
    nobody,
    nothing,
    redis,
    services,
    together,
)
from chaos.faults_managers import OF_MANAGERS
from chaos.faults_redis import FAIL_OVER, OF_REDIS
from chaos.faults_ways import OF_WAYS
from chaos.lab import Lab


async def _kill(lab: Lab, names: str) -> None:
    await asyncio.gather(*(_kill_one(lab, name) for name in names.split(",")))


async def _kill_one(lab: Lab, name: str) -> None:
    if name == REDIS:
        await asyncio.to_thread(lab.redis.master.kill)
    else:
        await lab.processes[name].kill()


async def _start(lab: Lab, names: str) -> None:
    """Start them, in whatever order they come to it."""
    await asyncio.gather(*(_start_one(lab, name) for name in names.split(",")))


async def _start_one(lab: Lab, name: str) -> None:
    if name == REDIS:
        await lab.redis.start_again()
    elif name in lab.clients:
        await lab.start_client(name)
    else:
        await lab.processes[name].start()
        await lab.processes[name].serves()


async def _pause(lab: Lab, name: str) -> None:
    lab.processes[name].send(signal.SIGSTOP)


async def _continue(lab: Lab, name: str) -> None:
    lab.processes[name].send(signal.SIGCONT)


async def _roll(lab: Lab, names: str) -> None:
    """Restart every service, one after the other, as for a new version."""
    for process in (lab.services[name] for name in names.split(",")):
        lab.history.write("restart", phase="begin", name=process.name)
        assert await process.stop(), f"{process.name} did not end within its limit"
        await process.start()
        await process.serves()
        lab.history.write("restart", phase="end", name=process.name)


def _killing(targets: Targets) -> Fault:
    return Fault(targets, _kill, _start, (0.1, 1.5))


def _pausing(targets: Targets, span_s: tuple[float, float]) -> Fault:
    return Fault(targets, _pause, _continue, span_s)


FAULTS: dict[str, Fault] = {
    "kill-allocate": _killing(services("allocate")),
    "kill-heartbeat": _killing(services("heartbeat")),
    "kill-manager": _killing(managers),
    "kill-client": _killing(clients),
    "pause-allocate": _pausing(services("allocate"), (0.3, 4.0)),
    "pause-heartbeat": _pausing(services("heartbeat"), (0.3, 4.0)),
    # Longer than a manager may be silent, and then longer than it may be away.
    "pause-manager": _pausing(managers, (0.3, 12.0)),
    # Longer than every lease.
    "pause-client": _pausing(clients, (1.0, 5.0)),
    "kill-redis": Fault(redis, _kill, _start, (0.1, 4.0)),
    "kill-all-allocates": _killing(together(services("allocate"))),
    "kill-all-heartbeats": _killing(together(services("heartbeat"))),
    "kill-all-managers": _killing(together(managers)),
    "power-cut": _killing(together(everything)),
    # Never more than one at a time, so nobody is without a service.
    "rolling-restart": Fault(together(services("")), _roll, nothing, (0.0, 0.1), hurts=nobody),
    **OF_MANAGERS,
    **OF_REDIS,
    **OF_WAYS,
}
"""Every kind of fault, by its name."""


def kinds_of(seed: int) -> list[str]:
    """Return the kinds that come unless some are named: every other seed has a Redis alone."""
    return [kind for kind in FAULTS if kind != FAIL_OVER or seed % 2 == 0]
