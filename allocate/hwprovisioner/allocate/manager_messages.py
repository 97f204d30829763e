"""What a resource manager says, message by message: checked, then committed."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hwprovisioner.allocate.reconciling import HOLD_ID, MAX_AMOUNT
from hwprovisioner.allocate.registration import Registrar
from hwprovisioner.allocate.specs import check_connection, check_spec
from hwprovisioner.allocate.stored_texts import connection_to_json
from hwprovisioner.allocate.switchboard import Switchboard
from hwprovisioner.allocate.violations import Violations
from hwprovisioner.serving import Refused
from hwprovisioner.state.errors import NoSuchHold
from hwprovisioner.state.holds import Holds
from hwprovisioner.state.managers import Managers, Speaker
from hwprovisioner.state.model import Hold
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.tables import Health, HoldState
from hwprovisioner.state.upkeep import Upkeep
from hwprovisioner.state.view import View
from hwprovisioner.v1 import resource_pb2
from hwprovisioner.v1.manager_stream_pb2 import (
    Accept,
    CallDone,
    Cleaned,
    Decline,
    Failed,
    HealthChange,
    HoldRef,
    Pong,
    Progress,
    Ready,
    Register,
    SubscribeRequest,
    Volunteer,
    Withdraw,
)

_DEFAULT_REST_MS = 10_000
_MAX_REST_MS = 3_600_000
_MOST_WARNINGS = 16
_HEALTHS: Mapping[int, Health] = {
    resource_pb2.Health.Value(f"HEALTH_{health}"): health for health in Health
}


class OutOfOrder(Refused):
    """A message that breaks the protocol: the stream ends."""

    def __init__(self, why: str) -> None:
        super().__init__("BAD_REQUEST", f"event: {why}", violations=[("event", why)])


class Inbox:
    """Commits messages of managers."""

    def __init__(
        self,
        view: View,
        managers: Managers,
        holds: Holds,
        registrar: Registrar,
        reader: Reader,
        switchboard: Switchboard,
        upkeep: Upkeep,
        on_cleaned: Callable[[Hold], None],
    ) -> None:
        """Look records up in `view`; `reader` remembers connections.

        `on_cleaned` is told of each hold that has been cleaned right before that is committed.
        """
        self._on_cleaned = on_cleaned
        self._switchboard = switchboard
        self._upkeep = upkeep
        self._reader = reader
        self._view = view
        self._managers = managers
        self._holds = holds
        self._registrar = registrar
        self._actions: Mapping[str, Callable[[Speaker, Any], Awaitable[None]]] = {
            "register": self._register,
            "volunteer": self._volunteer,
            "withdraw": self._withdraw,
            "accept": self._accept,
            "decline": self._decline,
            "progress": self._progress,
            "ready": self._ready,
            "failed": self._failed,
            "cleaned": self._cleaned,
            "pong": self._pong,
            "call_done": self._call_done,
            "health": self._health,
        }

    async def commit(self, who: Speaker, request: SubscribeRequest) -> None:
        """Commit what a manager says.

        Raises:
            OutOfOrder: it must not be said now, or ever.
            Refused, StateError: it cannot be taken and changes nothing.
        """
        event = request.WhichOneof("event")
        if event is None:
            raise OutOfOrder("no event, or one that is not known here")
        await self._actions[event](who, getattr(request, event))

    async def _register(self, who: Speaker, register: Register) -> None:
        raise OutOfOrder("a stream registers only once")

    async def _pong(self, who: Speaker, pong: Pong) -> None:
        pass  # that it was heard is all

    async def _call_done(self, who: Speaker, done: CallDone) -> None:
        violations = Violations()
        violations.text("call_done.message", done.message)
        violations.check()
        await self._switchboard.done(done)

    async def _accept(self, who: Speaker, accept: Accept) -> None:
        ref = _checked(accept.hold)
        await self._holds.accept(who, ref.hold_id, ref.fence)

    async def _progress(self, who: Speaker, progress: Progress) -> None:
        ref = _checked(progress.hold)
        line = _line("progress.message", progress.message)
        await self._holds.progress(who, ref.hold_id, ref.fence, line)

    async def _cleaned(self, who: Speaker, cleaned: Cleaned) -> None:
        ref = _checked(cleaned.hold)
        hold = self._view.holds.get(ref.hold_id)
        if hold and hold.state is HoldState.CLEANING and hold.fence == ref.fence:
            self._on_cleaned(hold)
        await self._holds.cleaned(who, ref.hold_id, ref.fence)

    async def _ready(self, who: Speaker, ready: Ready) -> None:
        hold = self._hold(ready.hold)
        violations = Violations()
        check_connection("ready.connection", ready.connection, violations)
        violations.check()
        connection = connection_to_json(ready.connection)
        if await self._holds.ready(who, hold, ready.hold.fence, connection):
            self._reader.remember_connection(hold.id, connection)

    async def _decline(self, who: Speaker, decline: Decline) -> None:
        hold = self._hold(decline.hold)
        reason = _line("decline.reason", decline.reason) or "no reason given"
        delay_ms = decline.retry_delay.ToMilliseconds()
        # A decline with a delay that makes no sense is still a decline.
        is_said = decline.HasField("retry_delay") and delay_ms >= 0
        rest_ms = min(_MAX_REST_MS, delay_ms) if is_said else _DEFAULT_REST_MS
        siblings = self._view.holds_of(hold.allocation)
        await self._holds.decline(who, hold, decline.hold.fence, siblings, reason, rest_ms)

    async def _failed(self, who: Speaker, failed: Failed) -> None:
        hold = self._hold(failed.hold)
        reason = _line("failed.reason", failed.reason) or "no reason given"
        siblings = self._view.holds_of(hold.allocation)
        await self._holds.fail(who, hold, failed.hold.fence, siblings, reason)

    async def _volunteer(self, who: Speaker, volunteer: Volunteer) -> None:
        violations = Violations()
        check_spec("volunteer.spec", volunteer.spec, violations)
        violations.few("volunteer.warnings", volunteer.warnings, _MOST_WARNINGS, "warnings")
        for index, warning in enumerate(volunteer.warnings[:_MOST_WARNINGS]):
            violations.text(f"volunteer.warnings[{index}]", warning)
        fence = violations.number("volunteer.fence", volunteer.fence, 0, MAX_AMOUNT)
        violations.check()
        warnings = json.dumps(list(volunteer.warnings))
        await self._registrar.describe(
            who, volunteer.spec, volunteered=True, seen_fence=fence, warnings=warnings
        )

    async def _health(self, who: Speaker, change: HealthChange) -> None:
        violations = Violations()
        violations.name("health.resource", change.resource)
        reason = violations.text("health.reason", change.reason)
        if change.health not in _HEALTHS:
            known = ", ".join(f"{number} ({name})" for number, name in _HEALTHS.items())
            violations.add("health.health", f"is {change.health}, must be one of {known}")
        if change.look < 0:
            violations.add("health.look", f"is {change.look}, must be 0 or more")
        violations.check()
        health = _HEALTHS[change.health]
        await self._upkeep.say_health(who, change.resource, health, reason, change.look)

    async def _withdraw(self, who: Speaker, withdraw: Withdraw) -> None:
        violations = Violations()
        violations.name("withdraw.resource", withdraw.resource)
        reason = violations.text("withdraw.reason", withdraw.reason)
        violations.check()
        await self._managers.withdraw(who, withdraw.resource, reason, removed=withdraw.removed)

    def _hold(self, ref: HoldRef) -> Hold:
        hold = self._view.holds.get(_checked(ref).hold_id)
        if hold is None:
            raise NoSuchHold(ref.hold_id)
        return hold


def subject(request: SubscribeRequest) -> tuple[str, str]:
    """Return the hold and the resource that a message is about, empty for none."""
    event = request.WhichOneof("event")
    match getattr(request, event) if event else None:
        case Volunteer() as volunteer:
            return "", volunteer.spec.name
        case Withdraw() | HealthChange() as message:
            return "", message.resource
        case Accept() | Decline() | Progress() | Ready() | Failed() | Cleaned() as message:
            return message.hold.hold_id, ""
    return "", ""


def _checked(ref: HoldRef) -> HoldRef:
    violations = Violations()
    violations.name("hold.hold_id", ref.hold_id, HOLD_ID)
    violations.check()
    return ref


def _line(field: str, text: str) -> str:
    violations = Violations()
    violations.text(field, text)
    violations.check()
    return text
