"""The state machines of the lab, as tables.

This is the only place where transitions are listed. The Lua scripts that commit them get these very
tables (``scripts.py`` writes them into the text in place of ``--@include tables``), so a transition
that is not listed here cannot be committed, and one that is listed need not be listed again.

Terminal reasons are data, not states: see `EndReason`. An entry that leads to the state it
starts from makes the repetition of a message harmless.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class AllocationState(StrEnum):
    """Where an allocation is in its life."""

    BOOKED = "BOOKED"
    """It waits for the time it is booked for, without a lease."""
    QUEUED = "QUEUED"
    PREPARING = "PREPARING"
    READY = "READY"
    ENDED = "ENDED"


class AllocationEvent(StrEnum):
    """What moves an allocation."""

    REBOOK = "rebook"
    """A booking gets other resources; one that has begun and is not granted yet, too."""
    BEGIN = "begin"
    """The time it is booked for has come."""
    GRANT = "grant"
    """All its holds were created."""
    HOSTS_READY = "hosts_ready"
    """The last of its hosts is ready."""
    SEND_BACK = "send_back"
    """A hold was declined or failed, and there are tries left."""
    PREEMPT = "preempt"
    """Its holder is told that it gives way to another when its grace is over."""
    KEEP = "keep"
    """Its holder keeps it for a while: until then no release and no missing heartbeats end it."""
    END = "end"


class EndReason(StrEnum):
    """Why an allocation ended."""

    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    WAIT_TIMEOUT = "WAIT_TIMEOUT"
    UNSATISFIABLE = "UNSATISFIABLE"
    PREPARE_FAILED = "PREPARE_FAILED"
    MAX_DURATION = "MAX_DURATION"
    PREEMPTED = "PREEMPTED"
    REVOKED = "REVOKED"
    RESOURCE_LOST = "RESOURCE_LOST"


class HoldState(StrEnum):
    """Where a hold is in its life."""

    OFFERED = "OFFERED"
    PREPARING = "PREPARING"
    READY = "READY"
    CLEANING = "CLEANING"
    GONE = "GONE"
    """Its record is deleted."""


class HoldEvent(StrEnum):
    """What moves a hold."""

    ACCEPT = "accept"
    DECLINE = "decline"
    READY = "ready"
    FAIL = "fail"
    END = "end"
    CLEANED = "cleaned"


class Presence(StrEnum):
    """Whether a manager is there."""

    ONLINE = "ONLINE"
    DISCONNECTED = "DISCONNECTED"
    LOST = "LOST"


class PresenceEvent(StrEnum):
    """What moves a manager's presence. Owner: its stream."""

    REGISTER = "register"
    DISCONNECT = "disconnect"
    LOSE = "lose"


class Health(StrEnum):
    """Whether a resource works."""

    HEALTHY = "HEALTHY"
    SUSPECT = "SUSPECT"
    QUARANTINED = "QUARANTINED"


class HealthEvent(StrEnum):
    """What moves a resource's health. Owner: the health policy."""

    SUSPECT = "suspect"
    """Its manager's checks, or too many failures, speak against it."""
    QUARANTINE = "quarantine"
    """Its manager cannot put it right, or an operator says so."""
    CLEAR = "clear"
    """Its manager has looked after it and found it well."""
    LIFT = "lift"
    """An operator puts it back into service; what was not well is looked after first."""


class Admin(StrEnum):
    """Whether a resource may be lent."""

    ENABLED = "ENABLED"
    DRAINING = "DRAINING"
    MAINTENANCE = "MAINTENANCE"


class AdminEvent(StrEnum):
    """What moves a resource's admin state. Owner: the operator."""

    DRAIN = "drain"
    DRAINED = "drained"
    """Nothing holds it any longer."""
    ENABLE = "enable"


ALLOCATION: Mapping[AllocationState, Mapping[AllocationEvent, AllocationState]] = {
    AllocationState.BOOKED: {
        AllocationEvent.REBOOK: AllocationState.BOOKED,
        AllocationEvent.BEGIN: AllocationState.QUEUED,
        AllocationEvent.END: AllocationState.ENDED,
    },
    AllocationState.QUEUED: {
        AllocationEvent.REBOOK: AllocationState.QUEUED,
        AllocationEvent.GRANT: AllocationState.PREPARING,
        AllocationEvent.END: AllocationState.ENDED,
    },
    AllocationState.PREPARING: {
        AllocationEvent.HOSTS_READY: AllocationState.READY,
        AllocationEvent.SEND_BACK: AllocationState.QUEUED,
        AllocationEvent.PREEMPT: AllocationState.PREPARING,
        AllocationEvent.END: AllocationState.ENDED,
    },
    AllocationState.READY: {
        AllocationEvent.PREEMPT: AllocationState.READY,
        AllocationEvent.KEEP: AllocationState.READY,
        AllocationEvent.END: AllocationState.ENDED,
    },
    AllocationState.ENDED: {},
}

HOLD: Mapping[HoldState, Mapping[HoldEvent, HoldState]] = {
    HoldState.OFFERED: {
        HoldEvent.ACCEPT: HoldState.PREPARING,
        HoldEvent.READY: HoldState.READY,
        HoldEvent.DECLINE: HoldState.GONE,
        HoldEvent.FAIL: HoldState.CLEANING,
        HoldEvent.END: HoldState.CLEANING,
    },
    HoldState.PREPARING: {
        HoldEvent.ACCEPT: HoldState.PREPARING,
        HoldEvent.READY: HoldState.READY,
        HoldEvent.FAIL: HoldState.CLEANING,
        HoldEvent.END: HoldState.CLEANING,
    },
    HoldState.READY: {
        HoldEvent.ACCEPT: HoldState.READY,
        HoldEvent.READY: HoldState.READY,
        HoldEvent.FAIL: HoldState.CLEANING,
        HoldEvent.END: HoldState.CLEANING,
    },
    HoldState.CLEANING: {HoldEvent.CLEANED: HoldState.GONE},
    HoldState.GONE: {},
}

PRESENCE: Mapping[Presence, Mapping[PresenceEvent, Presence]] = {
    Presence.ONLINE: {
        PresenceEvent.REGISTER: Presence.ONLINE,
        PresenceEvent.DISCONNECT: Presence.DISCONNECTED,
    },
    Presence.DISCONNECTED: {
        PresenceEvent.REGISTER: Presence.ONLINE,
        PresenceEvent.LOSE: Presence.LOST,
    },
    Presence.LOST: {PresenceEvent.REGISTER: Presence.ONLINE},
}

HEALTH: Mapping[Health, Mapping[HealthEvent, Health]] = {
    Health.HEALTHY: {
        HealthEvent.SUSPECT: Health.SUSPECT,
        HealthEvent.QUARANTINE: Health.QUARANTINED,
        HealthEvent.CLEAR: Health.HEALTHY,
        HealthEvent.LIFT: Health.HEALTHY,
    },
    Health.SUSPECT: {
        HealthEvent.SUSPECT: Health.SUSPECT,
        HealthEvent.QUARANTINE: Health.QUARANTINED,
        HealthEvent.CLEAR: Health.HEALTHY,
        HealthEvent.LIFT: Health.SUSPECT,
    },
    Health.QUARANTINED: {
        HealthEvent.QUARANTINE: Health.QUARANTINED,
        HealthEvent.LIFT: Health.SUSPECT,
    },
}

ADMIN: Mapping[Admin, Mapping[AdminEvent, Admin]] = {
    Admin.ENABLED: {AdminEvent.DRAIN: Admin.DRAINING, AdminEvent.ENABLE: Admin.ENABLED},
    Admin.DRAINING: {
        AdminEvent.DRAIN: Admin.DRAINING,
        AdminEvent.DRAINED: Admin.MAINTENANCE,
        AdminEvent.ENABLE: Admin.ENABLED,
    },
    Admin.MAINTENANCE: {
        AdminEvent.DRAIN: Admin.MAINTENANCE,
        AdminEvent.ENABLE: Admin.ENABLED,
    },
}

TABLES: Mapping[str, Mapping[Any, Mapping[Any, StrEnum]]] = {
    "allocation": ALLOCATION,
    "hold": HOLD,
    "presence": PRESENCE,
    "health": HEALTH,
    "admin": ADMIN,
}
"""All of them, by the names that scripts use."""


def as_lua() -> str:
    """Return the tables as a Lua statement, ``local TABLES = {hold = {OFFERED = {…}}}``."""
    machines = (
        f"{name} = {{{', '.join(_state_as_lua(state, row) for state, row in table.items())}}}"
        for name, table in TABLES.items()
    )
    return f"local TABLES = {{{', '.join(machines)}}}"


def _state_as_lua(state: StrEnum, row: Mapping[Any, StrEnum]) -> str:
    events = ", ".join(f'["{event}"] = "{target}"' for event, target in row.items())
    return f"{state} = {{{events}}}"
