"""Heartbeat replicas that sign on: while one of them is silent, no lease of the lab ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hwprovisioner.state.keys import Keys
from hwprovisioner.state.transitions import Caller, Core, unexpected

SILENT_AFTER_MS = 2000
"""Leases are paused for a replica that was not heard for so long."""
ANSWERED_WITHIN_MS = 1000
"""A replica is only heard if it has had an answer within so long before."""
UNSEEN_MS = 1000
"""A clock that is set by less may do so unseen: see ``silence.lua``."""


class SigningOn(StrEnum):
    """What came of it."""

    ACCEPTED = "ACCEPTED"
    AGAIN = "AGAIN"
    """The newest answer was too old: say so again."""
    TAKEN = "TAKEN"
    """Another process goes by that id."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Redis says to a replica that signs on."""

    outcome: SigningOn
    time_ms: int
    """When, by the clock of Redis: to be quoted when it signs on next."""


class Beaters(Core):
    """One heartbeat replica, as it stands in Redis."""

    def __init__(self, link: Caller, keys: Keys, beater: str, process: str, limit_ms: int) -> None:
        """Sign on through `link` as `beater`, the name that a replica keeps over its restarts.

        `process` is one word, another for each process. Once it is silent, leases are paused for
        `limit_ms` at most.
        """
        super().__init__(link, keys, _nothing_to_tell)
        self.beater = beater
        self._process = process
        self._limit_ms = limit_ms

    async def sign_on(
        self, answered_ms: int | None, *, told: bool, now_ms: int | None = None
    ) -> Answer:
        """Say that the replica is there.

        Args:
            answered_ms: the time in the newest answer; None if there was none.
            told: whether holders were told of a pause since it was last accepted.
            now_ms: for tests.

        Raises:
            StateUnavailable: Redis is away; it may have been heard or not.
        """
        said = ("" if answered_ms is None else answered_ms, "told" if told else "")
        args = (self.beater, self._process, self._limit_ms, *said)
        match await self.run("sign_on", self._keys, args, now_ms):
            case ["ACCEPTED" | "AGAIN" | "TAKEN" as outcome, int(time_ms)]:
                return Answer(SigningOn(outcome), time_ms)
            case reply:
                raise unexpected("sign_on", reply)

    async def sign_off(self, *, told: bool, now_ms: int | None = None) -> None:
        """Say that the replica takes no more beats.

        Raises:
            StateUnavailable: Redis is away.
        """
        args = (self.beater, self._process, "told" if told else "")
        reply = await self.run("sign_off", self._keys, args, now_ms)
        if reply[0] not in ("LEFT", "LAST", "TAKEN"):
            raise unexpected("sign_off", reply)

    @property
    def _keys(self) -> Sequence[str]:
        return self.keys.beaters, self.keys.looked, self.keys.tended


def _nothing_to_tell(commit: Any) -> None:  # noqa: ANN401  # nothing is ever committed
    raise AssertionError(f"signing on committed {commit}")
