"""Carries a plan of faults out, and writes down when each began and when it was over."""

import asyncio
import time
from collections.abc import Iterable

from chaos.faults import FAULTS, Fault
from chaos.follow import LogReader
from chaos.lab import Lab
from chaos.plan import Planned

#: Longer than this, nobody waits for the lab to make progress.
PROGRESS_LIMIT_S = 30.0
#: After so long each has been told again what it had forgotten.
REMEMBERED_S = 5.0
_MEMORY = "memory"


class Injector:
    """Does to a lab what was planned."""

    def __init__(self, lab: Lab, reader: LogReader) -> None:
        self._lab, self._reader = lab, reader
        self._busy: set[str] = set()

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
        touched = set(target.split(",")) | ({_MEMORY} if fault.forgets else set())
        if touched & self._busy:
            return  # one thing at a time happens to each
        self._busy |= touched
        try:
            await self._inflict(planned, fault, target)
            if fault.forgets:
                await asyncio.sleep(REMEMBERED_S)
        except AssertionError as error:  # a process does not start, or does not end
            self._lab.history.write("failed", fault=planned.kind, target=target, why=str(error))
        finally:
            self._busy -= touched

    async def _inflict(self, planned: Planned, fault: Fault, target: str) -> None:
        hurts = fault.hurts(target)
        said = {"fault": planned.kind, "target": target, "hurts": hurts, "loses": fault.loses}
        self._lab.history.write("fault", phase="begin", **said)
        await fault.begin(self._lab, target)
        await asyncio.sleep(planned.span_s)
        healing = time.monotonic()
        await fault.end(self._lab, target)
        self._reader.progress.clear()
        self._lab.history.write("fault", phase="end", **said)
        try:
            async with asyncio.timeout(PROGRESS_LIMIT_S):
                await self._reader.progress.wait()
        except TimeoutError:
            self._lab.history.write("stuck", fault=planned.kind, s=PROGRESS_LIMIT_S)
            return
        self._lab.history.write("recovered", fault=planned.kind, s=time.monotonic() - healing)
