"""Beats in Redis: one script for many."""

import asyncio
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hwprovisioner.state.errors import StateUnavailable
from hwprovisioner.state.keys import Keys, sha256
from hwprovisioner.state.link import Link
from hwprovisioner.state.scripts import script

#: Holders have to hear soon that Redis does not answer: their leases run on until they do.
ANSWER_LIMIT_S = 1.5

#: Beats that one script writes: others, who may have a single one, wait for it in Redis and here.
MOST_AT_ONCE = 250


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
        self._lab_keys = (keys.deadlines, *keys.pauses)
        # Put together here, and not for each beat.
        self._allocation, self._alarm = keys.allocation(""), keys.alarm("")
        self._script = script("heartbeat")

    async def write(self, beats: Sequence[Beat], *, now_ms: int | None = None) -> list[Outcome]:
        """Write beats, and return what became of each, in order.

        `now_ms` is for tests: otherwise it is the clock of Redis.

        Raises:
            StateUnavailable: Redis is away; they may have been written or not, each for itself.
        """
        outcomes: list[Outcome] = []
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                for start in range(0, len(beats), MOST_AT_ONCE):
                    part = beats[start : start + MOST_AT_ONCE]
                    outcomes += await self._write_part(part, "" if now_ms is None else str(now_ms))
        except TimeoutError:
            said = f"Redis has not answered for {ANSWER_LIMIT_S:g} s"
            raise StateUnavailable(said) from None
        return outcomes

    async def _write_part(self, beats: Sequence[Beat], now: str) -> Iterable[Outcome]:
        keys = [*self._lab_keys]
        args = [now]
        for beat in beats:
            name = beat.allocation_id
            keys += (self._allocation + name, self._alarm + name)
            args += (f"lease:{name}", sha256(beat.token))
        match await self._link.call_script(self._script, keys, args):
            case ["BEATS", *replies] if len(replies) == len(beats):
                return map(_outcome, replies)
            case reply:
                raise AssertionError(f"heartbeat.lua answered {reply!r}")


# Most leases are like many others, and have their full length again.
@functools.lru_cache(maxsize=1024)
def _outcome(reply: str) -> Outcome:
    match reply.split(" ", 2):
        case ["BEAT", _, _]:
            left_ms, ttl_ms, state, most_ms, grace_ms, drained_ms, names = reply.split(" ")[1:]
            draining = tuple(names.split(",")) if names else ()
            most, *ends = map(_known, (most_ms, grace_ms, drained_ms))
            return Alive(int(left_ms), int(ttl_ms), state, most, draining, *ends)
        case ["ENDED", reason, detail]:
            return Over(reason, detail)
        case ["WRONG_TOKEN"]:
            return WrongToken()
        case ["UNKNOWN"]:
            return Unknown()
    raise AssertionError(f"heartbeat.lua answered {reply!r} for a beat")


def _known(left_ms: str) -> int | None:
    return None if left_ms == "-1" else int(left_ms)
