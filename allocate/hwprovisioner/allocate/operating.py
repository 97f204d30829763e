"""What operators do with resources: drain them, quarantine them, put them back into service."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hwprovisioner.allocate.freshness import Freshness
from hwprovisioner.allocate.violations import Violations
from hwprovisioner.serving import bad_request
from hwprovisioner.state.errors import NoSuchResource
from hwprovisioner.state.model import Resource
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.tables import HoldState
from hwprovisioner.state.upkeep import AT_ONCE, Upkeep
from hwprovisioner.state.view import View
from hwprovisioner.v1 import allocate_service_pb2 as pb

_Attempt: TypeAlias = Callable[[Resource, Sequence[str]], Awaitable[int | None]]


@dataclass(frozen=True, slots=True)
class Said:
    """Who says what of which resource."""

    name: str
    operator: str
    why: str
    """For people to read, with the operator's name."""


class OperatorDesk:
    """Carries out what operators say. Each call returns once the view shows it."""

    def __init__(self, view: View, freshness: Freshness, upkeep: Upkeep, reader: Reader) -> None:
        """Look resources up in `view`."""
        self._view = view
        self._freshness = freshness
        self._upkeep = upkeep
        self._reader = reader

    async def drain(self, request: pb.DrainResourceRequest) -> None:
        """Take a resource out of service."""
        said = _read(request.name, request.operator, request.reason)
        deadline_ms = await self._deadline_ms(request)

        async def attempt(resource: Resource, live: Sequence[str]) -> int | None:
            return await self._upkeep.drain(
                resource, said.why, said.operator, live, deadline_ms=deadline_ms
            )

        await self._until_done(said.name, attempt)

    async def enable(self, request: pb.EnableResourceRequest) -> None:
        """Put a resource back into service."""
        said = _read(request.name, request.operator, "")
        who = said.operator or "an operator"

        async def attempt(resource: Resource, live: Sequence[str]) -> int | None:
            before = f", it was {resource.health.lower()}: {resource.health_reason}"
            why = f"{who} puts it back into service{before}".removesuffix(": ")
            return await self._upkeep.enable(resource, why, said.operator, live)

        await self._until_done(said.name, attempt)

    async def quarantine(self, request: pb.QuarantineResourceRequest) -> None:
        """Lend a resource no more until an operator puts it back into service."""
        said = _read(request.name, request.operator, request.reason)

        async def attempt(resource: Resource, live: Sequence[str]) -> int | None:
            return await self._upkeep.quarantine(resource, said.why, said.operator)

        await self._until_done(said.name, attempt)

    async def _deadline_ms(self, request: pb.DrainResourceRequest) -> int | None:
        violations = Violations()
        if not request.HasField("deadline"):
            return AT_ONCE if request.at_once else None
        if request.at_once:
            violations.add("at_once", "there is a deadline as well: say one of them")
        deadline_ms = violations.instant_ms("deadline", request.deadline)
        violations.check()
        if deadline_ms <= await self._reader.now_ms():
            what = (
                "is a time that is over: name one to come, or have what holds it ended now"
                " (at_once; `hwp maintenance`)"
            )
            raise bad_request([("deadline", what)])
        return deadline_ms

    async def _until_done(self, name: str, attempt: _Attempt) -> None:
        """Attempt a change until those that hold the resource are those that the view shows."""
        await self._freshness.check()
        while (revision := await attempt(*self._as_seen(name))) is None:
            await self._freshness.catch_up()
        await self._view.reached(revision)

    def _as_seen(self, name: str) -> tuple[Resource, list[str]]:
        """Return a resource, and the allocations that hold it as far as the view knows them."""
        resource = self._view.resources.get(name)
        if resource is None:
            raise NoSuchResource(name)
        holds = (self._view.holds[hold] for hold in resource.holds if hold in self._view.holds)
        live = {hold.allocation for hold in holds if hold.state is not HoldState.CLEANING}
        return resource, sorted(live)


def _read(name: str, operator: str, reason: str) -> Said:
    violations = Violations()
    if not name:
        violations.add("name", "is missing: say which resource")
    violations.text("operator", operator)
    violations.text("reason", reason)
    violations.check()
    why = " ".join(word for word in (reason, operator and f"(by {operator})") if word)
    return Said(name, operator, why)
