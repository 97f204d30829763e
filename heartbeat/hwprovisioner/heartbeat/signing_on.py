"""Saying to the lab, over and over, that this replica is there."""

import asyncio
import contextlib
import logging

from hwprovisioner.heartbeat.standing import Standing
from hwprovisioner.state import beaters
from hwprovisioner.state.beaters import Beaters
from hwprovisioner.state.errors import StateUnavailable

_log = logging.getLogger(__name__)

PERIOD_S = 0.5
#: A process that was killed keeps its place for a few seconds; what lasts longer is another one.
_PATIENT_TRIES = 10


class SigningOn:
    """Keeps a replica's place among those that the lab waits for, and its standing up to date."""

    def __init__(self, replica: Beaters, standing: Standing) -> None:
        self._replica = replica
        self._standing = standing
        self._answered_ms: int | None = None
        self._taken = 0

    async def keep(self) -> None:
        """Sign on again and again, until cancelled."""
        while True:
            with contextlib.suppress(StateUnavailable):  # The link says so.
                while await self._sign_on() is beaters.SigningOn.AGAIN:
                    pass
            await asyncio.sleep(PERIOD_S)

    async def sign_off(self) -> None:
        """Say that no more beats are taken. While Redis is away the lab is not told."""
        with contextlib.suppress(StateUnavailable):
            await self._replica.sign_off(told=self._standing.has_told)

    async def _sign_on(self) -> beaters.SigningOn:
        standing = self._standing
        sent_ms, told = standing.now_ms(), standing.told
        answer = await self._replica.sign_on(self._answered_ms, told=standing.has_told)
        standing.answered()
        self._answered_ms = answer.time_ms
        match answer.outcome:
            case beaters.SigningOn.ACCEPTED:
                standing.accepted(sent_ms, told)
                self._taken = 0
            case beaters.SigningOn.TAKEN:
                self._say_taken()
        return answer.outcome

    def _say_taken(self) -> None:
        self._taken += 1
        if self._taken == _PATIENT_TRIES:
            _log.error(
                "another heartbeat replica goes by the name %s: give each a host name or a port of"
                " its own; until then no lease is paused when this one cannot reach Redis",
                self._replica.beater,
            )
