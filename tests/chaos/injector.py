"""Carries a plan of faults out, and writes down when each began and when it was over."""

import asyncio
import time
from collections.abc import Iterable

from chaos.fault import Fault
from chaos.faults import FAULTS
from chaos.lab import Lab
from chaos.plan import Planned

#: Longer than this, nobody waits for the lab to make progress.
PROGRESS_LIMIT_S = 60.0
#: After so long each has been told again what it had forgotten.
REMEMBERED_S = 5.0
#: What touches more than so many waits, for so long at most, until nothing else happens to them.
MANY = 2
ALONE_LIMIT_S = 5.0
_MEMORY = "memory"


class Injector:
    """Does to a lab what was planned."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._busy: set[str] = set()
        self._kept: set[str] = set()
        self._over = asyncio.Condition()

    async def carry_out(self, plan: Iterable[Planned]) -> None:
        """Return when all of it is over, and everything that was hit is there again."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in plan:
                await asyncio.sleep(max(0.0, began + fault.at_s - time.monotonic()))
                group.create_task(self._one(fault))

    async def _one(self, planned: Planned) -> None:
        fault = FAULTS[planned.kind]
        targets = sorted(fault.targets(self._lab))
        target = targets[int(planned.target * len(targets))]
        touched = set(fault.touches(self._lab, target)) | ({_MEMORY} if fault.forgets else set())
        if not await self._take(touched, waits=len(touched) > MANY):
            return  # one thing at a time happens to each
        try:
            await self._inflict(planned, fault, target)
            if fault.forgets:
                await asyncio.sleep(REMEMBERED_S)
        except AssertionError as error:  # a process does not start, or does not end
            self._lab.history.write("failed", fault=planned.kind, target=target, why=str(error))
        finally:
            async with self._over:
                self._busy -= touched
                self._over.notify_all()

    async def _take(self, touched: set[str], *, waits: bool) -> bool:
        """Keep everybody else from what a fault touches; say whether nobody was at it.

        What hits many would hardly ever find them all alone, so it waits for a while, and nothing
        new happens to them meanwhile.
        """
        async with self._over:
            if touched & self._kept or (touched & self._busy and not waits):
                return False
            self._kept |= touched
            try:
                async with asyncio.timeout(ALONE_LIMIT_S):
                    await self._over.wait_for(lambda: not touched & self._busy)
            except TimeoutError:
                return False
            finally:
                self._kept -= touched
            self._busy |= touched
            return True

    async def _inflict(self, planned: Planned, fault: Fault, target: str) -> None:
        progress = self._lab.reader.progress
        hurts = fault.hurts(target)
        said = {"fault": planned.kind, "target": target, "hurts": hurts, "loses": fault.loses}
        self._lab.history.write("fault", phase="begin", **said)
        await fault.begin(self._lab, target)
        await asyncio.sleep(planned.span_s)
        healing = time.monotonic()
        await fault.end(self._lab, target)
        progress.clear()
        self._lab.history.write("fault", phase="end", **said)
        try:
            async with asyncio.timeout(PROGRESS_LIMIT_S):
                await progress.wait()
        except TimeoutError:
            self._lab.history.write("stuck", fault=planned.kind, s=PROGRESS_LIMIT_S)
            return
        self._lab.history.write("recovered", fault=planned.kind, s=time.monotonic() - healing)
