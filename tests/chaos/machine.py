"""What the machine did: whoever was ready to run and did not is late, and nobody's fault."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from chaos.history import Recorder
from chaos.lab import Lab

#: The clock is looked at so often, and what comes so much later is written down.
TICK_S = 0.02
STALL_S = 0.01
#: Whoever ends leases is asked every so many ticks how long it waited for a processor.
_EVERY = 5


async def watch(lab: Lab, history: Recorder) -> None:
    """Write down stalls until cancelled: of this process, and of those that end leases."""
    waited: dict[int, float] = {}
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            for _ in range(_EVERY):
                before = time.monotonic()
                await asyncio.sleep(TICK_S)
                late_s = time.monotonic() - before - TICK_S
                if late_s > STALL_S:
                    history.write("stall", s=late_s)
            for name, pid in _whoever_ends_leases(lab):
                now_s = _waited_s(pid)
                if (late_s := now_s - waited.get(pid, now_s)) > STALL_S:
                    history.write("stall", s=late_s, process=name)
                waited[pid] = now_s


def _whoever_ends_leases(lab: Lab) -> Iterator[tuple[str, int]]:
    for name in lab.allocates:
        if (pid := lab.services[name].pid) is not None:
            yield name, pid
    if lab.redis.master.is_running:
        yield "redis", lab.redis.master.pid


def _waited_s(pid: int) -> float:
    """Return how long a process has been ready to run without being run, so far."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0
