"""What the model of a lab has instead of records."""

from dataclasses import dataclass, field


@dataclass
class ModelAllocation:
    ttl: int
    wait: int
    max: int
    since: int
    """When it was queued or granted last, by steady time."""
    request: str
    user: str = ""
    class_id: str = ""
    state: str = "QUEUED"
    holds: list[str] = field(default_factory=list)
    tries: int = 0
    reason: str = ""
    was_granted: bool = False
    book_from: int = 0
    book_until: int = 0
    reservation: str = ""
    wait_left: int = 0
    """What was left of its wait when it was queued."""
    preempt: int = 0
    preempted_for: str = ""
    draining: dict[str, int] = field(default_factory=dict)
    """Those of its resources that are drained; when it is ended for each, 0 for never."""
    keep: int = 0
    released: int = 0
    tolerates: bool = False


@dataclass
class ModelHold:
    allocation: str
    resource: str
    manager: str
    fence: int
    cpus: int
    state: str = "OFFERED"


@dataclass
class ModelResource:
    manager: str
    spec: str
    volunteered: bool
    slots: int
    cpus: int
    fence: int = 0
    generation: int = 1
    removed: bool = False
    health: str = "HEALTHY"
    admin: str = "ENABLED"
    rest: int = 0
    health_reason: str = ""
    looks: int = 0
    outcomes: list[str] = field(default_factory=list)
    why: str = ""
    booked: tuple[str, ...] = ()
    epoch: int = 0


@dataclass
class ModelManager:
    presence: str = "ONLINE"
    epoch: int = 0
    journal_id: str | None = None
    journal_epoch: int = 0
    """Of the registration in which it had another journal than before."""
