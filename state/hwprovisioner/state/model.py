"""The records of the lab as they stand in Redis hashes.

Each class lists the fields of one kind of record, which are exactly those that the change log
carries. Secrets (an allocation's ``token_sha``, a hold's ``connection``) stand in the same hashes
but in no class here, so nothing that reads records can show them.

What is asked for (`Allocation.demands`) and what a resource is (`Resource.spec`) are JSON of the
protocol's messages and opaque here. All times are ms since the epoch by the clock of Redis, but for
one, and 0 for none.
"""

from collections.abc import Mapping
from typing import ClassVar

from hwprovisioner.state.keys import Kind
from hwprovisioner.state.record import Record, Repeated, lay_out, record
from hwprovisioner.state.tables import (
    Admin,
    AllocationState,
    EndReason,
    Health,
    HoldState,
    Presence,
)


@record
class Allocation(Record):
    """One request and what became of it. Its lease's deadline stands in ``deadlines`` only."""

    kind: ClassVar[Kind] = Kind.ALLOCATION

    id: str = ""
    state: AllocationState = AllocationState.QUEUED
    demands: Repeated = ""
    requestor: Repeated = ""
    user: Repeated = ""
    priority: int = 0
    turn: int = 0
    """The revision that queued it: among equal priorities, the lower goes first."""
    ttl_ms: int = 0
    wait_ms: int = 0
    """How long it may wait in the queue, 0 for as long as its lease is kept alive."""
    wait_left_ms: int = 0
    """What was left of that when it was granted last."""
    max_ms: int = 0
    """How long it may last from its grant, 0 for as long as its lease is kept alive."""
    since_ms: int = 0
    """When it was queued, granted or ended, whichever was last, by the lab's steady time, which
    durations are reckoned by; all other times are the clock's, as people want to see them."""
    submit_ms: int = 0
    grant_ms: int = 0
    ready_ms: int = 0
    end_ms: int = 0
    end_reason: EndReason | None = None
    end_detail: str = ""
    left_ms: int = 0
    """What its lease had left when it was queued, granted or became ready, whichever was last."""
    holds: tuple[str, ...] = ()
    """Its holds that are not over."""
    draining: tuple[str, ...] = ()
    """Those of its resources that are being drained, `NAME`, or `NAME:MS` if it ends then."""
    revoke_ms: int = 0
    """When it is ended because of them, 0 if it is not; an outage may put that off."""
    pending: int = 0
    """How many of them are not ready."""
    excluded: tuple[str, ...] = ()
    """Resources that failed it."""
    tries: int = 0
    """How often its preparation failed."""
    last_failure: str = ""
    request_key: str = ""
    class_id: Repeated = ""
    """What it asks for, as a short digest: those that ask for the same have the same."""
    ssh_public_key: str = ""
    """The holder's, for the drivers of its resources; empty for none."""
    book_from_ms: int = 0
    """From when it is booked, 0 if it is no booking."""
    book_until_ms: int = 0
    """Until when it is booked: then it ends, 0 if it is no booking."""
    reservation: str = ""
    """What a booking reserves, as JSON, opaque here:
    ``{HOST: {"resource": NAME, "cpus": n, "memory": n, "gpus": [...]}}``."""
    preempt_ms: int = 0
    """When it gives way to another, 0 if it does not; an outage may put that off."""
    preempted_for: str = ""
    """The allocation that it gives way to."""
    keep_ms: int = 0
    """Until when it is kept: no release and no missing heartbeats end it before. 0 if it is not."""
    released_ms: int = 0
    """When it was released while it was kept: then it ends once it is kept no longer."""
    tolerates: bool = False
    """It may have what is drained or in maintenance."""


@record
class Hold(Record):
    """A resource bound to a host of an allocation; its id is ``RESOURCE.FENCE`` of its start."""

    kind: ClassVar[Kind] = Kind.HOLD

    id: str = ""
    allocation: str = ""
    host: Repeated = ""
    resource: str = ""
    manager: Repeated = ""
    state: HoldState = HoldState.OFFERED
    fence: int = 0
    cpus: int = 0
    memory: int = 0
    """Bytes."""
    gpus: tuple[int, ...] = ()
    """The cards, by their places in the resource's list."""
    progress: str = ""
    failed: bool = False
    """It ended because its host could not be readied up, or broke."""
    begun: bool = False
    """Its manager had accepted it when it ended."""


@record
class Resource(Record):
    """Something a test can run on."""

    kind: ClassVar[Kind] = Kind.RESOURCE
    identity: ClassVar[str] = "name"

    name: str = ""
    manager: Repeated = ""
    spec: Repeated = ""
    generation: int = 0
    """One more each time the description changes."""
    volunteered: bool = False
    epoch: int = 0
    """Of the registration in which its manager described it last; that it was volunteered in an
    earlier one does not count."""
    withdrawn_reason: str = ""
    removed: bool = False
    """No longer in its manager's inventory; the record goes when nothing holds it."""
    health: Health = Health.HEALTHY
    admin: Admin = Admin.ENABLED
    health_reason: str = ""
    """Why it is not healthy."""
    admin_reason: str = ""
    """Why it is not enabled, and who says so."""
    operator: str = ""
    """Who moved its health or admin state last, of people."""
    operated_ms: int = 0
    deadline_ms: int = 0
    """When what holds it is ended, being drained; 0 for never."""
    looks: int = 0
    """How often the lab has had its manager look after it."""
    warnings: str = ""
    """Where what was detected contradicts what its manager was told: a JSON list, opaque here."""
    fence: int = 0
    slots: int = 1
    """How many holds at once; 1 of an exclusive resource."""
    cpus: int = 0
    memory: int = 0
    used_slots: int = 0
    used_cpus: int = 0
    used_memory: int = 0
    used_gpus: tuple[int, ...] = ()
    holds: tuple[str, ...] = ()
    """All its holds, those being cleaned too."""
    booked: tuple[str, ...] = ()
    """The bookings that have it; some may have ended, or been given another resource."""
    rest_until: int = 0
    """Declined: not to be offered before that time."""
    rest_reason: str = ""


@record
class Manager(Record):
    """A resource manager."""

    kind: ClassVar[Kind] = Kind.MANAGER

    id: str = ""
    presence: Presence = Presence.ONLINE
    epoch: int = 0
    """Of its newest registration: the revision that made it. 0 if it has not registered since the
    lab may have lost something."""
    returning: bool = False
    """It was there when the lab may have lost something, and has not told yet what it holds."""
    version: str = ""
    register_ms: int = 0
    journal_id: str = ""
    journal_epoch: int = 0
    """Of the first registration with that journal. What became of holds before, it may not know."""

    def may_lack(self, hold: Hold) -> bool:
        """Say whether a hold was offered, or ended, before the manager had its present journal."""
        return hold.rev < self.journal_epoch


RECORDS: Mapping[Kind, type[Record]] = {
    record.kind: record for record in (Allocation, Hold, Resource, Manager)
}

for _record in RECORDS.values():
    lay_out(_record)
