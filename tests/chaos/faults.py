"""What can go wrong: a registry of faults, each with what it hits and how long it lasts.

A fault that is to come (a failover, a clock that steps) is one more entry of `FAULTS`.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from chaos.clock import NOTICED_S, can_be_set
from chaos.lab import Lab, journal_of
from support.tcp_proxy import TcpProxy

REDIS = "redis"
#: Of so much the newest is lost where Redis writes to its disk once in a second.
LOST_S = 0.9
Doing = Callable[[Lab, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault.

    Attributes:
        targets: what it can hit; several names between commas are hit together.
        begin: does it.
        end: undoes it, and returns once what was hit is there again.
        span_s: how long it lasts: the shortest and the longest.
        hurts: what does not work meanwhile, by the target, likewise.
        loses: whether Redis may lose what it has acknowledged.
        forgets: whether somebody forgets what only one other knows: not two at a time, then.
    """

    targets: Callable[[Lab], Iterable[str]]
    begin: Doing
    end: Doing
    span_s: tuple[float, float]
    hurts: Callable[[str], str] = lambda target: target
    loses: bool = False
    forgets: bool = False


def _services(kind: str) -> Callable[[Lab], Iterable[str]]:
    return lambda lab: [name for name in lab.services if name.startswith(kind)]


def _together(targets: Callable[[Lab], Iterable[str]]) -> Callable[[Lab], Iterable[str]]:
    return lambda lab: (",".join(targets(lab)),)


def _everything(lab: Lab) -> Iterable[str]:
    return (REDIS, *lab.services, *lab.managers)


def _managers(lab: Lab) -> Iterable[str]:
    return lab.managers


def _clients(lab: Lab) -> Iterable[str]:
    return lab.clients


def _ways(lab: Lab) -> Iterable[str]:
    return lab.proxies


def _redis(lab: Lab) -> Iterable[str]:
    return (REDIS,)


def _whoever_listens(way: str) -> str:
    """A service without its state does not work; whoever else is cut off hurts only itself."""
    return way.partition(">")[0]


async def _kill(lab: Lab, names: str) -> None:
    await asyncio.gather(*(_kill_one(lab, name) for name in names.split(",")))


async def _kill_one(lab: Lab, name: str) -> None:
    if name == REDIS:
        await asyncio.to_thread(lab.redis.kill)
    else:
        await lab.processes[name].kill()


async def _start(lab: Lab, names: str) -> None:
    """Start them, in whatever order they come to it."""
    await asyncio.gather(*(_start_one(lab, name) for name in names.split(",")))


async def _start_one(lab: Lab, name: str) -> None:
    if name == REDIS:
        lab.redis.start()  # in this thread: it dies with the thread that starts it
    elif name in lab.clients:
        await lab.start_client(name)
    else:
        await lab.processes[name].start()
        await lab.processes[name].serves()


async def _pause(lab: Lab, name: str) -> None:
    lab.processes[name].send(signal.SIGSTOP)


async def _continue(lab: Lab, name: str) -> None:
    lab.processes[name].send(signal.SIGCONT)


async def _kill_and_lose_journal(lab: Lab, name: str) -> None:
    await _kill(lab, name)
    journal_of(lab, name).unlink(missing_ok=True)


async def _pause_redis(lab: Lab, name: str) -> None:
    os.kill(lab.redis.pid, signal.SIGSTOP)


async def _continue_redis(lab: Lab, name: str) -> None:
    os.kill(lab.redis.pid, signal.SIGCONT)


async def _lose_tail(lab: Lab, name: str) -> None:
    """Kill it, and take from its disk what it has acknowledged in the last moment."""
    file = lab.redis.append_only_file()
    size = file.stat().st_size
    await asyncio.sleep(LOST_S)
    await _kill(lab, name)
    os.truncate(file, size)


async def _forget_scripts(lab: Lab, name: str) -> None:
    await asyncio.to_thread(lab.redis.command, "SCRIPT FLUSH")


async def _stop_notifying(lab: Lab, name: str) -> None:
    await asyncio.to_thread(lab.redis.command, 'CONFIG SET notify-keyspace-events ""')


async def _notify(lab: Lab, name: str) -> None:
    await asyncio.to_thread(lab.redis.command, "CONFIG SET notify-keyspace-events Kx")


async def _roll(lab: Lab, names: str) -> None:
    """Restart every service, one after the other, as for a new version."""
    for process in (lab.services[name] for name in names.split(",")):
        assert await process.stop(), f"{process.name} did not end within its limit"
        await process.start()
        await process.serves()


def _setting_clock(ahead_s: int) -> Fault:
    """The clock of the machine of Redis is set, and later set right."""

    async def set_clock(lab: Lab, name: str) -> None:
        await _set_clock(lab, ahead_s)

    async def set_right(lab: Lab, name: str) -> None:
        await _set_clock(lab, 0)

    return Fault(_redis, set_clock, set_right, (2.0, 6.0))


async def _set_clock(lab: Lab, ahead_s: int) -> None:
    """Return once Redis must have noticed."""
    assert lab.clock is not None
    lab.clock.set(ahead_s)
    await asyncio.sleep(2 * NOTICED_S)


async def _nothing(lab: Lab, name: str) -> None:
    """It is over already."""


def _on_way(change: Callable[[TcpProxy], None]) -> Doing:
    async def change_it(lab: Lab, way: str) -> None:
        change(lab.proxies[way])

    return change_it


def _deafen(proxy: TcpProxy) -> None:
    proxy.deaf = True


def _drop_replies(proxy: TcpProxy) -> None:
    proxy.dropping = True


def _slow_down(proxy: TcpProxy) -> None:
    proxy.delay_s = 0.2


def _mend(proxy: TcpProxy) -> None:
    """What was thrown away cannot come later, so its connections end."""
    if proxy.deaf or proxy.dropping:
        proxy.cut()
    proxy.deaf = proxy.dropping = False
    proxy.delay_s = 0.0
    proxy.release_replies()


def _killing(targets: Callable[[Lab], Iterable[str]]) -> Fault:
    return Fault(targets, _kill, _start, (0.1, 1.5))


def _pausing(targets: Callable[[Lab], Iterable[str]], span_s: tuple[float, float]) -> Fault:
    return Fault(targets, _pause, _continue, span_s)


def _on_ways(change: Callable[[TcpProxy], None], span_s: tuple[float, float]) -> Fault:
    return Fault(_ways, _on_way(change), _on_way(_mend), span_s, _whoever_listens)


FAULTS: dict[str, Fault] = {
    "kill-allocate": _killing(_services("allocate")),
    "kill-heartbeat": _killing(_services("heartbeat")),
    "kill-manager": _killing(_managers),
    "kill-client": _killing(_clients),
    "lose-journal": Fault(_managers, _kill_and_lose_journal, _start, (0.1, 1.5), forgets=True),
    "pause-allocate": _pausing(_services("allocate"), (0.3, 4.0)),
    "pause-heartbeat": _pausing(_services("heartbeat"), (0.3, 4.0)),
    # Longer than a manager may be silent, and then longer than it may be away.
    "pause-manager": _pausing(_managers, (0.3, 12.0)),
    # Longer than every lease.
    "pause-client": _pausing(_clients, (1.0, 5.0)),
    "pause-redis": Fault(_redis, _pause_redis, _continue_redis, (0.3, 4.0)),
    "kill-redis": Fault(_redis, _kill, _start, (0.1, 4.0)),
    "kill-all-allocates": _killing(_together(_services("allocate"))),
    "kill-all-heartbeats": _killing(_together(_services("heartbeat"))),
    "kill-all-managers": _killing(_together(_managers)),
    "power-cut": _killing(_together(_everything)),
    # As with `appendfsync everysec`, or where a replica takes over that lacked the newest.
    "lose-tail": Fault(_redis, _lose_tail, _start, (0.1, 2.0), loses=True, forgets=True),
    "forget-scripts": Fault(_redis, _forget_scripts, _nothing, (0.0, 0.1), lambda _: ""),
    "no-notifications": Fault(_redis, _stop_notifying, _notify, (2.0, 6.0), lambda _: ""),
    "cut": _on_ways(TcpProxy.cut, (0.0, 0.1)),
    "slow": _on_ways(_slow_down, (0.5, 3.0)),
    "stall": _on_ways(TcpProxy.hold_replies, (0.5, 3.0)),
    "half-open": _on_ways(_deafen, (0.5, 4.0)),
    "drop-replies": _on_ways(_drop_replies, (0.5, 3.0)),
    # Never more than one at a time, so nobody is without a service.
    "rolling-restart": Fault(
        _together(_services("")), _roll, _nothing, (0.0, 0.1), hurts=lambda _: ""
    ),
}
"""Every kind of fault, by its name."""

if can_be_set():
    FAULTS |= {"clock-ahead": _setting_clock(3600), "clock-back": _setting_clock(-3600)}
