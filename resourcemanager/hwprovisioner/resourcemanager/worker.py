"""Readies up, tears down and cleans: one task for each hold, so that none waits for another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from hwprovisioner.resourcemanager import calls, codec
from hwprovisioner.resourcemanager.acceptance import Acceptance
from hwprovisioner.resourcemanager.backoff import Backoffs
from hwprovisioner.resourcemanager.driver import Report
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.holds import Held, Phase
from hwprovisioner.resourcemanager.journal import Journal
from hwprovisioner.resourcemanager.progress import Progress
from hwprovisioner.resourcemanager.readying import ready_up
from hwprovisioner.resourcemanager.represented import Represented
from hwprovisioner.v1 import manager_stream_pb2 as stream

_log = logging.getLogger(__name__)

Send = Callable[[stream.SubscribeRequest], object]


class Worker:
    """Does for holds what their phases ask for, and journals what came of it."""

    def __init__(
        self,
        journal: Journal,
        tasks: asyncio.TaskGroup,
        send: Send,
        *,
        on_cleaned: Callable[[str, str], None],
        on_given_up: Callable[[str, str, str], None],
        backoffs: Backoffs,
        is_mark_new: bool,
    ) -> None:
        """Make a worker.

        Args:
            journal: Says what is to be done.
            tasks: Who runs it.
            send: Takes what the lab is to know.
            on_cleaned: Is told of a resource and a hold of it that was cleaned.
            on_given_up: Is told of one that cannot be cleaned, and why.
            backoffs: How long to wait between attempts.
            is_mark_new: What was made for holds that the journal does not know bears another mark.
        """
        self._journal = journal
        self._tasks = tasks
        self._send = send
        self._on_cleaned = on_cleaned
        self._on_given_up = on_given_up
        self._backoffs = backoffs
        self._is_mark_new = is_mark_new
        self._running: dict[str, asyncio.Task[None]] = {}
        self._cleaning: set[str] = set()

    def is_at_work(self, hold_id: str) -> bool:
        """Say whether something is being done for a hold."""
        return hold_id in self._running

    def is_cleaning(self, hold_id: str) -> bool:
        """Say whether a hold is being torn down and cleaned right now."""
        return hold_id in self._cleaning

    def start(self, hold_id: str, represented: Represented) -> None:
        """Do what the phase of a hold asks for, cancelling what was done for an earlier one."""
        phase = self._journal.holds[hold_id].phase
        if phase is Phase.PREPARING:
            work = self._ready_up(hold_id, represented)
        elif phase is Phase.CLEANING:
            before = self._running.get(hold_id)
            if before is not None:
                before.cancel()  # at once, or it might find itself done
            work = self._clean_up(hold_id, represented, before)
            self._cleaning.add(hold_id)
        else:
            return
        task = self._tasks.create_task(work, name=f"{phase} {hold_id}")
        self._running[hold_id] = task
        task.add_done_callback(lambda done: self._ended(hold_id, done))

    async def stop(self) -> None:
        """Cancel everything and see it out. The journal says what to go on with."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    def _ended(self, hold_id: str, task: asyncio.Task[None]) -> None:
        if self._running.get(hold_id) is task:
            del self._running[hold_id]
            self._cleaning.discard(hold_id)

    async def _ready_up(self, hold_id: str, represented: Represented) -> None:
        hold = self._journal.holds[hold_id].hold
        acceptance = Acceptance(lambda: self.tell(hold_id))
        progress = self._progress(hold_id, acceptance.say)
        try:
            await self._journal.flush()
            acceptance.say_soon()
            connection = await ready_up(
                represented, self._journal, hold_id, progress.report, self._backoffs.later
            )
        except (DriverError, OSError) as error:
            acceptance.say()
            progress.close()
            words = str(error) if isinstance(error, DriverError) else f"journal: {error}"
            _log.warning("hold %s on %s failed: %s", hold_id, hold.resource, words)
            self.become(self._journal.holds[hold_id].failed(words))
        else:
            progress.close()
            _log.info("hold %s on %s is ready", hold_id, hold.resource)
            self.become(self._journal.holds[hold_id].prepared(connection))
        finally:
            acceptance.drop()
        self.tell(hold_id)

    async def _clean_up(
        self, hold_id: str, represented: Represented, before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await asyncio.wait([before])
        progress = self._progress(hold_id)
        trouble = await self._try_to_clean(hold_id, represented, progress)
        trouble = trouble or await self._find(hold_id, represented, progress)
        hold = self._journal.holds[hold_id].hold
        if trouble:
            progress.report(f"not clean, and given up: {trouble}")
            progress.close()
            self.become(self._journal.holds[hold_id].given_up(trouble))
            self._on_given_up(hold.resource, hold_id, trouble)
            return
        progress.close()
        _log.info("hold %s on %s is cleaned", hold_id, hold.resource)
        self.become(self._journal.holds[hold_id].cleaned())
        self._on_cleaned(hold.resource, hold_id)
        self.tell(hold_id)

    async def _find(self, hold_id: str, represented: Represented, progress: Progress) -> str:
        """Return once nothing is left of what a hold had of which only the id is known.

        Or why that cannot be found out; empty if it is clean.
        """
        if represented.instances is None or not self._journal.holds[hold_id].is_lost:
            return ""
        if self._is_mark_new:
            return (
                "there is no record of what it had, and this manager's mark is newer: remove by"
                " hand what bears another one, if no other manager has that, then say"
                f" `hwp undrain {represented.name}`"
            )
        sweep = represented.instances.pool.sweep
        if not sweep.is_done.is_set():
            progress.report("there is no record of what it had, so it is looked for")
            await sweep.is_done.wait()
        return ""

    async def _try_to_clean(
        self, hold_id: str, represented: Represented, progress: Progress
    ) -> str:
        """Return why a hold cannot be cleaned, once that was tried enough; empty if it is clean."""
        loop = asyncio.get_running_loop()
        care = represented.resource.care
        deadline = loop.time() + care.clean_within_s
        tries = repairs = 0
        while True:
            hold = self._journal.holds[hold_id].hold
            try:
                await calls.tear_down(represented.driver, hold, progress.report)
                await calls.clean(represented.driver, hold, progress.report)
                return ""
            except DriverError as error:
                tries += 1
                delay_s = self._backoffs.cleaning.delay_s(tries)
                _log.warning("hold %s on %s is not clean: %s", hold_id, hold.resource, error)
                if tries >= care.clean_tries or loop.time() + delay_s >= deadline:
                    return f"{error}; tried {tries} times"
                progress.report(f"not clean: {error}; try {tries + 1} in {delay_s:.1f} s")
                await asyncio.sleep(delay_s)
            if repairs < care.repair_tries:
                repairs += await _repair_if_not_well(represented, progress.report)

    def become(self, held: Held) -> None:
        """Journal a hold as it is now.

        If the disk refuses, the manager goes on; after a crash it would redo a little.
        """
        try:
            self._journal.put(held)
        except OSError as error:
            _log.error("journal: %s; hold %s is kept in memory only", error, held.hold.id)
            self._journal.assume(held)

    def tell(self, hold_id: str) -> None:
        """Tell the lab how a hold stands."""
        message = codec.standing(self._journal.holds[hold_id])
        if message is not None:
            self._send(message)

    def _progress(self, hold_id: str, first: Callable[[], None] = lambda: None) -> Progress:
        def send(line: str) -> None:
            held = self._journal.holds.get(hold_id)
            if held is not None:
                first()
                self._send(codec.progress(held.hold, line))

        return Progress(send)


async def _repair_if_not_well(represented: Represented, report: Report) -> bool:
    """Repair a resource that may be dirty because it is not well; return whether that was tried.

    One that others have a share of is left as it is.
    """
    driver = represented.driver
    if not (represented.is_exclusive and calls.traits(driver).has_repair):
        return False
    try:
        await calls.check(driver)
    except DriverError as error:
        trouble = str(error).removeprefix("check: ")
        _log.warning("resource %s is repaired before it is cleaned: %s", represented.name, trouble)
        report(f"it is repaired: {trouble}")
        try:
            await calls.repair(driver, trouble, report)
        except DriverError as failure:
            report(f"it is not repaired: {failure}")
        return True
    return False
