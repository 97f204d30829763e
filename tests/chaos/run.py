"""One run: a lab under load, faults, and then what the histories and the lab itself say of it."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from chaos import aftermath
from chaos.broken import Broken
from chaos.check_leases import LATEST_MS, Lateness
from chaos.checker import check
from chaos.faults import FAULTS
from chaos.faults_redis import FAIL_OVER
from chaos.history import Line, read
from chaos.injector import Injector
from chaos.lab import Lab, Size, running
from chaos.machine import watch as watch_machine
from chaos.plan import planned

BOARDS_LIMIT_S = 90.0


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run.

    Attributes:
        broken: the promises that were not kept.
        lines: everybody's history.
        lateness: how late leases ended.
    """

    broken: list[Broken]
    lines: list[Line]
    lateness: Lateness


async def run(
    folder: Path,
    seed: int,
    seconds: float,
    *,
    size: Size | None = None,
    kinds: Iterable[str] = FAULTS,
    latest_ms: float = LATEST_MS,
) -> Result:
    """Run a lab under load and faults for so long, then look at what is left of it.

    Args:
        folder: where logs and histories stay.
        seed: decides which faults come when, and what clients do.
        seconds: how long faults are done.
        size: of the lab.
        kinds: the faults that may come; with fail-over Redis has a replica, and Sentinel.
        latest_ms: how late a lease may end.
    """
    kinds = list(kinds)
    async with running(folder, seed, size or Size(), has_replica=FAIL_OVER in kinds) as lab:
        follow = asyncio.create_task(lab.reader.follow())
        watch = asyncio.create_task(watch_machine(lab, lab.history.named("machine")))
        try:
            await aftermath.boards_are_free(lab, within_s=BOARDS_LIMIT_S)
            for name in lab.clients:
                await lab.start_client(name)
            spans = {kind: FAULTS[kind].span_s for kind in kinds}
            await _disturb(lab, seed, seconds, spans)
            broken = await aftermath.settle(lab)
        finally:
            for task in (follow, watch):
                task.cancel()
            await asyncio.gather(follow, watch, return_exceptions=True)
        broken += await aftermath.stop(lab)
    lines, lateness = read(lab.histories), Lateness(latest_ms)
    return Result([*broken, *check(lines, lateness)], lines, lateness)


async def _disturb(
    lab: Lab, seed: int, seconds: float, spans: dict[str, tuple[float, float]]
) -> None:
    async with asyncio.timeout(BOARDS_LIMIT_S):
        await lab.reader.progress.wait()
    began = time.monotonic()
    lab.history.write("begin", seed=seed)
    for name in lab.allocates:
        lab.history.write("serves", name=name)
    await Injector(lab).carry_out(planned(seed, seconds, spans))
    await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
    lab.history.write("end")
