"""What can go wrong with Redis while its services are well."""

import asyncio
import os
import signal

from chaos.clock import NOTICED_S, can_be_set
from chaos.fault import Fault, nobody, nothing, redis
from chaos.lab import Lab

FAIL_OVER = "fail-over"
#: Of so much the newest is lost where Redis writes to its disk once in a second.
LOST_S = 0.9


async def _pause(lab: Lab, name: str) -> None:
    os.kill(lab.redis.master.pid, signal.SIGSTOP)


async def _continue(lab: Lab, name: str) -> None:
    os.kill(lab.redis.master.pid, signal.SIGCONT)


async def _start(lab: Lab, name: str) -> None:
    await lab.redis.start_again()


async def _lose_tail(lab: Lab, name: str) -> None:
    """Kill it, and take from its disk what it has acknowledged in the last moment."""
    file = lab.redis.master.append_only_file()
    size = file.stat().st_size
    await _live_and_die(lab, size)
    os.truncate(file, size)


async def _fail_over(lab: Lab, name: str) -> None:
    """Kill it, and have a replica take over that has not heard what it has acknowledged last."""
    await lab.redis.in_step()
    size = lab.redis.master.append_only_file().stat().st_size
    await asyncio.to_thread(lab.redis.cut_off_replica)
    await _live_and_die(lab, size)
    await lab.redis.promote()


async def _live_and_die(lab: Lab, size: int) -> None:
    """Let it go on for a moment, kill it, and write down what it is about to lose of that."""
    master = lab.redis.master
    await asyncio.sleep(LOST_S)
    await asyncio.to_thread(master.kill)
    lab.reader.note_tail(master.append_only_file().read_bytes()[size:])


async def _follow(lab: Lab, name: str) -> None:
    await lab.redis.start_as_replica()
    await lab.redis.in_step()


async def _forget_scripts(lab: Lab, name: str) -> None:
    await asyncio.to_thread(lab.redis.master.command, "SCRIPT FLUSH")


async def _stop_notifying(lab: Lab, name: str) -> None:
    await asyncio.to_thread(lab.redis.master.command, 'CONFIG SET notify-keyspace-events ""')


async def _notify(lab: Lab, name: str) -> None:
    await asyncio.to_thread(lab.redis.master.command, "CONFIG SET notify-keyspace-events Kx")


def _setting_clock(ahead_s: int) -> Fault:
    """The clock of the machine of Redis is set, and later set right."""

    async def set_clock(lab: Lab, name: str) -> None:
        await _set_clock(lab, ahead_s)

    async def set_right(lab: Lab, name: str) -> None:
        await _set_clock(lab, 0)

    return Fault(redis, set_clock, set_right, (2.0, 6.0))


async def _set_clock(lab: Lab, ahead_s: int) -> None:
    """Return once Redis must have noticed."""
    assert lab.clock is not None
    lab.clock.set(ahead_s)
    await asyncio.sleep(2 * NOTICED_S)


OF_REDIS: dict[str, Fault] = {
    "pause-redis": Fault(redis, _pause, _continue, (0.3, 4.0)),
    # As with `appendfsync everysec`.
    "lose-tail": Fault(redis, _lose_tail, _start, (0.1, 2.0), loses=True, forgets=True),
    FAIL_OVER: Fault(redis, _fail_over, _follow, (0.1, 2.0), loses=True, forgets=True),
    "forget-scripts": Fault(redis, _forget_scripts, nothing, (0.0, 0.1), nobody),
    "no-notifications": Fault(redis, _stop_notifying, _notify, (2.0, 6.0), nobody),
}

if can_be_set():
    OF_REDIS |= {"clock-ahead": _setting_clock(3600), "clock-back": _setting_clock(-3600)}
