"""What there is of a resource and belongs to nobody, as after a crash or a lost journal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection

from hwprovisioner.resourcemanager.backoff import Backoff
from hwprovisioner.resourcemanager.leaving import Leaving, Task, existing
from hwprovisioner.resourcemanager.maker import Maker
from hwprovisioner.resourcemanager.model import Share

_log = logging.getLogger(__name__)


class Sweep:
    """Destroys it, once. Before that is done nothing is lent: how much it has is not known."""

    def __init__(
        self,
        maker: Maker,
        leaving: Leaving,
        known: Callable[[], Collection[str]],
        backoff: Backoff,
    ) -> None:
        self._maker = maker
        self._leaving = leaving
        self._known = known
        self._backoff = backoff
        #: What may still be left, for people to read; empty once nothing is.
        self.leftovers = "what is left of earlier holds is not known yet"
        #: Set once nothing is left.
        self.is_done = asyncio.Event()

    async def run(self, after: Task | None, changed: Callable[[], None]) -> None:
        """Return once nothing is left.

        Args:
            after: What is to end before: the pool of the resource as it was described until now.
            changed: Is called when `leftovers` changes.
        """

        def say(words: str) -> None:
            is_news, self.leftovers = words != self.leftovers, words
            if is_news:
                changed()

        if after is not None:
            await asyncio.wait([after])
        words = "what is left of earlier holds is not known: {}"
        there = await existing(self._maker, self._backoff, lambda why: say(words.format(why)))
        strays = there.difference(self._known())
        name = self._maker.resource.name
        for stray in strays:
            _log.warning("instance %s of %s belongs to nobody: destroyed", stray, name)
            self._leaving.add(stray, Share())
        if strays:
            say(f"what belongs to nobody is destroyed: {', '.join(sorted(strays))}")
            await self._leaving.until_gone(strays)
        self.is_done.set()
        say("")
