"""What all transitions share: running a script, and telling of what it changed.

Each transition is one method of `allocations.Allocations`, `holds.Holds` or `managers.Managers`,
and commits with one Lua script. Methods raise the errors of `errors.py`, and `StateUnavailable`
when Redis is away; all can be repeated. `now_ms` is for tests: services leave it out, and the clock
of Redis is used.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from hwprovisioner.state import errors
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.scripts import Script, script

Reply: TypeAlias = list[Any]


class Caller(Protocol):
    """What talks to Redis: `link.Link`."""

    async def call(self, *args: str | int | bytes) -> Any:  # noqa: ANN401  # what Redis answers
        """Run a command and return its reply, text decoded."""
        ...

    async def call_script(
        self, script: Script, keys: Sequence[str], args: Sequence[str | int | bytes]
    ) -> Any:  # noqa: ANN401  # what Redis answers
        """Run a script and return its reply, text decoded."""
        ...


@dataclass(frozen=True, slots=True)
class Commit:
    """A change as the script that made it reports it; the same stands in the change log."""

    revision: int
    time_ms: int
    event: str
    changes: str
    """JSON: a list of [kind, id, [field, value, ...]], or [kind, id] for a deleted record."""


OnCommit: TypeAlias = Callable[[Commit], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take, in ms, and how often they are tried."""

    retention_ms: int = 3_600_000
    """How long an ended allocation stays readable."""
    offer_ms: int = 10_000
    """How long a manager may take to answer an offer."""
    silence_ms: int = 15_000
    """After how long without a word a manager is taken for away."""
    lost_ms: int = 60_000
    """After how long away a manager is given up."""
    tries: int = 3
    """How often a preparation may fail before the allocation ends."""


class Deposed(Exception):
    """Another scheduler has been elected."""


class Core:
    """What all transitions share: running a script, and telling of what it changed."""

    def __init__(
        self, link: Caller, keys: Keys, on_commit: OnCommit, limits: Limits | None = None
    ) -> None:
        """Commit through `link` to the lab of `keys`, telling `on_commit` of each change."""
        self.keys = keys
        self.limits = limits or Limits()
        self._link = link
        self._on_commit = on_commit

    async def run(
        self, name: str, keys: Iterable[str], args: Iterable[object], now_ms: int | None = None
    ) -> Reply:
        """Run a script that reads or writes, without a change of the lab."""
        arguments = ["" if now_ms is None else str(now_ms), *(str(arg) for arg in args)]
        reply: Reply = await self._link.call_script(script(name), list(keys), arguments)
        return reply

    async def change(
        self, name: str, keys: Iterable[str], args: Iterable[object], now_ms: int | None = None
    ) -> Reply:
        """Run a script that changes the lab; its keys follow those that all such scripts have."""
        common = (self.keys.revision, self.keys.log, self.keys.deadlines)
        reply = await self.run(name, (*common, *keys), args, now_ms)
        if len(reply) >= _COMMIT_LENGTH:
            _, revision, time_ms, event, changes = reply[:_COMMIT_LENGTH]
            self._on_commit(Commit(int(revision), int(time_ms), str(event), str(changes)))
        return reply

    async def change_with_holds(
        self, holds: Sequence[str], attempt: Callable[[Sequence[str]], Awaitable[Reply]]
    ) -> Reply:
        """Attempt a change that needs to name all holds of an allocation, until they are right."""
        for _ in range(_HOLD_TRIES):
            reply = await attempt(holds)
            if reply[0] != "STALE_HOLDS":
                return reply
            holds = [hold for hold in str(reply[1]).split(",") if hold]
        raise errors.StateUnavailable("the allocation's holds keep changing")

    def hold_keys(self, holds: Iterable[str]) -> list[str]:
        """Return for each hold its key and its resource's: a hold's id is ``RESOURCE.FENCE``."""
        return [
            key
            for hold in holds
            for key in (self.keys.hold(hold), self.keys.resource(hold.rpartition(".")[0]))
        ]


_COMMIT_LENGTH = 5
_HOLD_TRIES = 10


def unexpected(name: str, reply: Reply) -> AssertionError:
    """Return the error for a reply that the script's header does not list."""
    return AssertionError(f"{name}.lua answered {reply!r}")
