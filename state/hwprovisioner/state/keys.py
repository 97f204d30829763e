"""Every Redis key of a lab: its pattern, its type, what it holds and how long it lives.

All keys of a lab share the hash tag ``{LAB}``, so that a script may touch any of them on a cluster
as well, and labs are what spreads over its nodes. Below, ``hwp:{LAB}:`` is left out.

============  ======  ================================================================  =========
key           type    holds                                                             lives
============  ======  ================================================================  =========
revision      string  the last revision: one more with each change                      for ever
log           stream  the change log, ids ``REVISION-0``                                trimmed
deadlines     zset    what is due when, in ms since the epoch; see `Due`                by member
allocation:A  hash    an allocation (`model.Allocation`), and its token's SHA-256       retention
alarm:A       string  nothing; expires with the lease, so that Redis says so            the lease
request:R     string  ``ALLOCATION DIGEST`` of request id R (its SHA-256)               retention
hold:H        hash    a hold (`model.Hold`), and its connection                         to cleaned
resource:N    hash    a resource (`model.Resource`), and its newest outcomes            to removal
manager:M     hash    a resource manager (`model.Manager`)                              for ever
index:KIND    set     the ids of all allocations, holds, resources or managers          by member
removed       hash    of each removed resource: fence, looks, health, admin; JSON       for ever
scheduler     hash    who is elected: replica, epoch, until_ms                          for ever
tended        string  when leases were last looked after, in ms since the epoch         for ever
beaters       hash    of each heartbeat replica: ``HEARD LIMIT PROCESS``, times in ms     its limit
looked        string  when ``beaters`` was last looked at; the steady time then, in ms  for ever
run           string  the run of Redis that served the lab last                         for ever
use           hash    ``HOUR:USER`` (hours of steady time): host-ms held in it          to pruning
waits         hash    of a class of requests: the last 64 waits, ms between commas      for ever
spans         hash    of a class: the last 64 times from grant to end, likewise         for ever
channel:C     hash    a channel to a host: which ends are there, and when they said so  its touches
channel:C:E   stream  what is on its way to end E of it (holder, manager), a few pieces  the channel
channels:A    zset    the channels of allocation A, by when they are given up           its touches
============  ======  ================================================================  =========

``use``, ``waits`` and ``spans`` are the lab's memory of its past (`history.History`): the scripts
that end and grant write them along. ``waits`` and ``spans`` have at most 20,000 classes; where
there are so many, any one makes room for a new one.

Replicas tell one another over the Pub/Sub channel ``signals`` what cannot wait and may be missed.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

LAB_PATTERN = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
"""What the name of a lab is made of: it stands in every key."""


class Kind(StrEnum):
    """What a record is about; also the middle of its key and the name of its index."""

    ALLOCATION = "allocation"
    HOLD = "hold"
    RESOURCE = "resource"
    MANAGER = "manager"


class Due(StrEnum):
    """What a member of ``deadlines`` is about; members are ``DUE:ID``."""

    LEASE = "lease"
    """The lease of an allocation ends. The only place where a lease's deadline stands."""
    WAIT = "wait"
    """A queued allocation has waited for as long as it said."""
    MAX = "max"
    """An allocation has lasted for as long as it said, or was booked for."""
    FORGET = "forget"
    """An ended allocation need not be remembered any longer."""
    OFFER = "offer"
    """A hold should have been accepted."""
    REST = "rest"
    """A declined resource may be offered again."""
    MANAGER = "manager"
    """A manager should have been heard: first it is disconnected, then lost."""
    BEGIN = "begin"
    """The time that an allocation is booked for has come."""
    PREEMPT = "preempt"
    """An allocation gives way to another: the grace of its holder is over."""
    REVOKE = "revoke"
    """A resource of an allocation is drained with a deadline, which has come."""


def sha256(secret: str) -> str:
    """Return what is stored in place of a secret, as hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one lab.

    Raises:
        ValueError: the lab's name is not lower-case letters, digits and inner hyphens, 1 to 63.
    """

    lab: str = "default"

    def __post_init__(self) -> None:
        if not re.fullmatch(LAB_PATTERN, self.lab):
            raise ValueError(
                f"lab name {self.lab!r}: use 1 to 63 lower-case letters, digits and inner hyphens"
            )

    @property
    def prefix(self) -> str:
        """What every key of the lab begins with."""
        return f"hwp:{{{self.lab}}}:"

    @property
    def revision(self) -> str:
        """The last revision."""
        return self.prefix + "revision"

    @property
    def log(self) -> str:
        """The change log."""
        return self.prefix + "log"

    @property
    def deadlines(self) -> str:
        """What is due when."""
        return self.prefix + "deadlines"

    @property
    def removed(self) -> str:
        """What is kept of removed resources."""
        return self.prefix + "removed"

    @property
    def scheduler(self) -> str:
        """Who is elected to schedule."""
        return self.prefix + "scheduler"

    @property
    def tended(self) -> str:
        """When leases were last looked after."""
        return self.prefix + "tended"

    @property
    def run(self) -> str:
        """The run of Redis that served the lab last."""
        return self.prefix + "run"

    @property
    def beaters(self) -> str:
        """The heartbeat replicas."""
        return self.prefix + "beaters"

    @property
    def looked(self) -> str:
        """When the heartbeat replicas were last looked at, and the steady time then."""
        return self.prefix + "looked"

    @property
    def pauses(self) -> tuple[str, str]:
        """What says whether leases are paused: tended and beaters."""
        return self.tended, self.beaters

    @property
    def use(self) -> str:
        """What each user has used in each hour."""
        return self.prefix + "use"

    @property
    def waits(self) -> str:
        """How long requests of each class have waited."""
        return self.prefix + "waits"

    @property
    def spans(self) -> str:
        """How long allocations of each class have lasted."""
        return self.prefix + "spans"

    @property
    def endings(self) -> tuple[str, str, str]:
        """What every script needs that may end an allocation: use, spans and looked."""
        return self.use, self.spans, self.looked

    @property
    def signals(self) -> str:
        """The Pub/Sub channel over which replicas tell one another what cannot wait."""
        return self.prefix + "signals"

    def channel(self, channel_id: str) -> str:
        """A channel to a host. Who knows its id may carry it, so that nobody can guess it."""
        return f"{self.prefix}channel:{channel_id}"

    def pieces(self, channel_id: str, end: str) -> str:
        """What is on its way to one end of a channel, ``holder`` or ``manager``."""
        return f"{self.channel(channel_id)}:{end}"

    def channels_of(self, allocation_id: str) -> str:
        """The channels of an allocation."""
        return f"{self.prefix}channels:{allocation_id}"

    def index(self, kind: Kind) -> str:
        """The ids of all records of a kind."""
        return f"{self.prefix}index:{kind}"

    def record(self, kind: Kind, record_id: str) -> str:
        """One record."""
        return f"{self.prefix}{kind}:{record_id}"

    def allocation(self, allocation_id: str) -> str:
        """An allocation."""
        return self.record(Kind.ALLOCATION, allocation_id)

    def hold(self, hold_id: str) -> str:
        """A hold."""
        return self.record(Kind.HOLD, hold_id)

    def resource(self, name: str) -> str:
        """A resource."""
        return self.record(Kind.RESOURCE, name)

    def manager(self, manager_id: str) -> str:
        """A resource manager."""
        return self.record(Kind.MANAGER, manager_id)

    def alarm(self, allocation_id: str) -> str:
        """The volatile key that expires with an allocation's lease."""
        return f"{self.prefix}alarm:{allocation_id}"

    def request(self, request_id: str) -> str:
        """What became of a request id. It is as good as the token, so its hash is stored."""
        return f"{self.prefix}request:{sha256(request_id)}"
