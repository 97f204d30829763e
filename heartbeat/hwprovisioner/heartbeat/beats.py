"""Beats in Redis: one script for a whole batch."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.keys import Keys, sha256
from hwprovisioner.state.link import Link
from hwprovisioner.state.scripts import script

#: Holders have to hear soon that Redis does not answer: their leases run on until they do.
ANSWER_LIMIT_S = 1.5


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life for an allocation."""

    allocation_id: str
    token: str


@dataclass(frozen=True, slots=True)
class Alive:
    """The lease was extended, or has not begun: what is booked has none before its time."""

    remaining_ms: int
    """What is left of the lease; of what is booked, until it begins."""
    ttl_ms: int
    state: str
    """BOOKED, QUEUED, PREPARING or READY."""
    max_left_ms: int | None
    """What is left of the maximum duration, or of the booked time; None if there is none yet."""
    draining: tuple[str, ...] = ()
    """Those of its resources that are being drained."""
    preempt_left_ms: int | None = None
    """What is left until it gives way to another; None if it does not."""
    revoke_left_ms: int | None = None
    """What is left until it ends because they are being drained; None if it may stay."""


@dataclass(frozen=True, slots=True)
class Over:
    """The allocation has ended and does not come back."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class WrongToken:
    """The token is not the allocation's."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """There is no such allocation."""


Outcome: TypeAlias = Alive | Over | WrongToken | Unknown


class BeatWriter:
    """Writes beats for one lab."""

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._script = script("heartbeat")

    async def write(self, beats: Sequence[Beat], *, now_ms: int | None = None) -> list[Outcome]:
        """Write beats, and return what became of each, in order.

        `now_ms` is for tests: otherwise it is the clock of Redis.

        Raises:
            StateUnavailable: Redis is away; they may have been written or not.
        """
        keys = [self._keys.deadlines, *self._keys.pauses]
        args = ["" if now_ms is None else str(now_ms)]
        for beat in beats:
            keys += (
                self._keys.allocation(beat.allocation_id),
                self._keys.alarm(beat.allocation_id),
            )
            args += (beat.allocation_id, sha256(beat.token))
        match await self._written(keys, args):
            case ["BEATS", *replies] if len(replies) == len(beats):
                return [_outcome(reply) for reply in replies]
            case reply:
                raise AssertionError(f"heartbeat.lua answered {reply!r}")

    async def _written(self, keys: Sequence[str], args: Sequence[str]) -> object:
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                return await self._link.call_script(self._script, keys, args)
        except TimeoutError:
            said = f"Redis has not answered for {ANSWER_LIMIT_S:g} s"
            raise StateUnavailable(said) from None


def _outcome(reply: object) -> Outcome:
    match reply:
        case [
            "BEAT",
            int(left_ms),
            int(ttl_ms),
            str(state),
            int(most_ms),
            str(names),
            int(grace_ms),
            int(drained_ms),
        ]:
            draining = tuple(names.split(",")) if names else ()
            ends = map(_known, (grace_ms, drained_ms))
            return Alive(left_ms, ttl_ms, state, _known(most_ms), draining, *ends)
        case ["ENDED", str(reason), str(detail)]:
            return Over(reason, detail)
        case ["WRONG_TOKEN"]:
            return WrongToken()
        case ["UNKNOWN"]:
            return Unknown()
    raise AssertionError(f"heartbeat.lua answered {reply!r} for a beat")


def _known(left_ms: int) -> int | None:
    return None if left_ms < 0 else left_ms
