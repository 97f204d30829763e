"""Looks after one resource: checks it, repairs it within limits, says what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable

from hwprovisioner.resourcemanager import calls
from hwprovisioner.resourcemanager.backoff import REPAIR, Backoff
from hwprovisioner.resourcemanager.errors import DriverError
from hwprovisioner.resourcemanager.findings import Findings
from hwprovisioner.resourcemanager.represented import Represented
from hwprovisioner.resourcemanager.slots import Slots

_log = logging.getLogger(__name__)


class Caretaker:
    """One resource's. It works while nothing is being readied up or cleaned there."""

    def __init__(
        self,
        represented: Represented,
        *,
        changed: Callable[[Represented], None],
        findings: Findings,
        is_busy: Callable[[], bool],
        is_held: Callable[[], bool],
        checks: Slots,
        backoff: Backoff = REPAIR,
    ) -> None:
        self._it = represented
        self._changed = changed
        self._findings = findings
        self._is_busy = is_busy
        self._is_held = is_held
        self._checks = checks
        self._backoff = backoff
        self._look = asyncio.Event()
        #: The look by which the lab waits to hear whether the resource is well.
        self._asked: int | None = None
        #: What is to be cleaned, holds and instances; before it is, the resource is not well.
        self._owed: set[str] = set()
        #: How often it was doubted.
        self._doubts = 0
        #: Repairs did not help, and are not tried again before it is asked for.
        self._is_given_up = False
        self._describe_at = 0.0

    def look_soon(self) -> None:
        """Check the resource now rather than at the next turn."""
        self._look.set()

    def look_after(self, look: int, owed: Iterable[str]) -> None:
        """Check the resource and say what came of it, once these holds and instances are gone."""
        self._asked = look
        self._is_given_up = False
        self._owed.update(owed)
        self.look_soon()

    def cleaned(self, name: str) -> None:
        """Take note that a hold is cleaned, or an instance gone."""
        self._owed.discard(name)
        if self._asked is not None and not self._owed:
            self.look_soon()

    def doubt(self, reason: str) -> None:
        """Lend nothing of the resource until it has been checked."""
        self._doubts += 1
        self._set(self._it.trouble or reason)
        self.look_soon()

    def give_up(self, reason: str) -> None:
        """Say that a person is needed."""
        self._asked = None
        self._owed.clear()
        self._findings.give_up(self._it.name, reason)

    async def run(self) -> None:
        """Look after the resource, now and then, for ever."""
        while True:
            if self._it.trouble is None or not self._is_busy():
                await self._look_at_it()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._it.resource.check_every_s):
                    await self._look.wait()
            self._look.clear()

    async def _look_at_it(self) -> None:
        asked, doubts = self._asked, self._doubts
        trouble, failure = await self._check(), ""
        if trouble and self._may_repair():
            trouble, failure = await self._repair(trouble)
        if doubts == self._doubts:
            self._set(trouble)
        # What was asked or doubted meanwhile takes another check.
        if (asked, doubts) != (self._asked, self._doubts):
            return
        if failure:
            self._is_given_up = True
            self.give_up(f"{trouble}; {failure}")
        elif asked is not None:
            self._answer(asked)

    def _answer(self, look: int) -> None:
        trouble = self._it.trouble
        if not trouble and not self._owed:
            self._asked = None
            self._findings.well(self._it.name, look)
        elif trouble and not self._is_held():
            self.give_up(trouble)

    async def _check(self) -> str:
        """Return why the resource cannot be lent; empty if it can."""
        async with self._checks.one():
            try:
                await calls.check(self._it.driver)
            except DriverError as error:
                return str(error).removeprefix("check: ") or "unhealthy"
            if self._it.trouble != "" or asyncio.get_running_loop().time() >= self._describe_at:
                await self._describe()
        return ""

    async def _describe(self) -> None:
        now = asyncio.get_running_loop().time()
        self._describe_at = now + self._it.resource.care.facts_every_s
        try:
            is_news = self._it.detected(await calls.describe(self._it.driver))
        except DriverError as error:
            name = self._it.name
            _log.warning("resource %s: %s; only what was known before is known", name, error)
        else:
            if is_news and self._it.trouble == "":
                self._changed(self._it)

    def _set(self, trouble: str) -> None:
        was, self._it.trouble = self._it.trouble, trouble
        self._it.is_known.set()
        if trouble != was:
            self._changed(self._it)

    def _may_repair(self) -> bool:
        tries = self._it.resource.care.repair_tries
        has_repair = tries > 0 and calls.traits(self._it.driver).has_repair
        return has_repair and not self._is_given_up and not self._is_held()

    async def _repair(self, trouble: str) -> tuple[str, str]:
        """Repair the resource, which nothing holds and, from now on, nothing is lent of.

        Returns:
            What is still the trouble, and why there is no use in going on; both empty if it is
            well.
        """
        tries = self._it.resource.care.repair_tries
        failure = ""
        for at in range(1, tries + 1):
            self._set(f"{trouble} (repair {at} of {tries})")
            failure = await self._try_repair(trouble)
            trouble = await self._check()
            if not trouble:
                _log.info("resource %s is repaired", self._it.name)
                return "", ""
            if at < tries:
                await asyncio.sleep(self._backoff.delay_s(at))
        return trouble, failure or f"{tries} repairs did not help"

    async def _try_repair(self, trouble: str) -> str:
        """Return why a repair failed; empty if it says that it did not."""
        name = self._it.name
        _log.warning("resource %s is repaired: %s", name, trouble)
        try:
            await calls.repair(
                self._it.driver, trouble, lambda line: _log.info("repair of %s: %s", name, line)
            )
        except DriverError as error:
            _log.warning("resource %s: %s", name, error)
            return str(error)
        return ""
