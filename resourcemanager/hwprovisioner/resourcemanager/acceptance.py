"""Accepting an offer: in a moment, as what is ready by then is said to be that instead.

Each message is a change of the lab, and where there is nothing to ready up both would come in the
same moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

#: So many turns of the loop: a driver that has nothing to do takes half of them, all of them take
#: less time than the message is under way.
_TURNS = 8


class Acceptance:
    """Says once that an offer is accepted, unless that is superfluous by then."""

    def __init__(self, say: Callable[[], None]) -> None:
        self._say = say
        self._is_over = False

    def say_soon(self) -> None:
        """Say it in a moment."""
        self._turn(_TURNS)

    def say(self) -> None:
        """Say it now if it was not said yet: something else is to be said after it."""
        if not self._is_over:
            self._is_over = True
            self._say()

    def drop(self) -> None:
        """Say it no more."""
        self._is_over = True

    def _turn(self, left: int) -> None:
        if left == 0:
            self.say()
        elif not self._is_over:
            asyncio.get_running_loop().call_soon(self._turn, left - 1)
