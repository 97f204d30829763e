"""What a manager represents and what is held of it, in the words of the domain.

Plain values: nothing here reads a file or talks to anyone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from pydantic import BaseModel

from hwprovisioner.resourcemanager.units import parse_size

#: What resources and managers may be called, in the lab.
NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
#: The same, for people.
NAME_RULE = "1 to 63 of a-z 0-9 . _ -, with a letter or digit at both ends"


class Kind(StrEnum):
    """What sort of thing a resource is."""

    VIRTUAL_MACHINE = "virtual-machine"
    PHYSICAL_SERVER = "physical-server"
    EDGE_DEVICE = "edge-device"
    CLOUD_INSTANCE = "cloud-instance"
    CONTAINER = "container"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A graphics or accelerator card."""

    brand: str = ""
    model: str = ""
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class OperatingSystem:
    """An operating system; empty words are not known."""

    family: str = ""
    distro: str = ""
    version: str = ""
    #: The release of its kernel, for people to read: nobody can ask for it.
    kernel: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a resource; `None` is not known."""

    cpus: int | None = None
    memory_bytes: int | None = None
    gpus: tuple[Gpu, ...] | None = None
    os: OperatingSystem | None = None

    def over(self, other: Facts) -> Facts:
        """Return these facts, completed by the other's where nothing is known here."""
        system = other.os if self.os is None else self.os
        if system is not None and not system.kernel and other.os is not None:
            system = replace(system, kernel=other.os.kernel)
        return Facts(
            cpus=other.cpus if self.cpus is None else self.cpus,
            memory_bytes=other.memory_bytes if self.memory_bytes is None else self.memory_bytes,
            gpus=other.gpus if self.gpus is None else self.gpus,
            os=system,
        )


@dataclass(frozen=True, slots=True)
class Division:
    """How a divisible resource is shared out."""

    instances: int
    default_cpus: int = 0
    default_memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Access:
    """How a resource is reached over the network."""

    host: str
    user: str = ""
    #: 0 is the protocol's usual port.
    port: int = 0
    #: As written in the file; `~` is whoever reads it.
    key_file: str = ""
    #: A public key in OpenSSH's form, or `any`, which checks nothing; empty looks in `known_hosts`.
    host_key: str = ""
    #: As written in the file; empty is `~/.ssh/known_hosts`.
    known_hosts: str = ""
    #: Holders are let in with their own keys, each for as long as its hold lasts.
    ephemeral: bool = False


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How long each call of a driver may take, in seconds; `None` is the driver's own default."""

    ready_up_s: float | None = None
    tear_down_s: float | None = None
    clean_s: float | None = None
    check_s: float | None = None


@dataclass(frozen=True, slots=True)
class Care:
    """How far a manager goes before it gives a resource up, and a person is needed."""

    #: Cleaning is tried so often, and for so long, whichever is over first.
    clean_tries: int = 10
    clean_within_s: float = 3600.0
    #: So often a repair is tried, if the driver knows one; 0 is never.
    repair_tries: int = 2
    #: How often what the resource is is found out anew.
    facts_every_s: float = 600.0


@dataclass(frozen=True, slots=True)
class WarmPool:
    """What is made before anyone asks, of a resource whose driver makes what it lends."""

    #: So many are always kept ready, as far as there is room.
    min: int
    #: So many at most, when many are asked for.
    max: int
    #: One that is more than `min` and that nobody took for so long is destroyed.
    idle_s: float
    #: What each is; only who asks for just that is served from the pool.
    share: Share
    image: str = ""
    disk_bytes: int = 0


class NoOptions(BaseModel, extra="forbid"):
    """The options of a driver that has none."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One entry of resources.yml."""

    name: str
    kind: Kind
    driver: str
    #: What the file says; it overrides what the driver detects.
    declared: Facts = Facts()
    labels: Mapping[str, str] = field(default_factory=dict)
    access: Access | None = None
    #: `None` is exclusive: one hold at a time has all of it.
    division: Division | None = None
    options: BaseModel = field(default_factory=NoOptions)
    time_limits: TimeLimits = TimeLimits()
    #: How often its health is looked at.
    check_every_s: float = 30.0
    care: Care = Care()
    #: Of a divisible one that is made for each hold.
    pool: WarmPool | None = None
    #: What its manager marks all that it makes with: of those that bear another mark, or none, it
    #: touches nothing. It is part of names: a-z and 0-9.
    mark: str = field(default="", compare=False)
    #: In which lines of the file what is declared stands, by its key. They may change alone.
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Share:
    """What a hold has of its resource."""

    cpus: int = 0
    memory_bytes: int = 0
    #: The cards, by their places in the resource's list.
    gpus: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """One host of one allocation, on one resource."""

    #: Unique in the lab for ever. Whatever a driver makes for it is named after it.
    id: str
    resource: str
    fence: int
    share: Share = Share()
    allocation_id: str = ""
    #: The name of the host in the demands.
    host: str = ""
    user: str = ""
    #: What was asked of the host: HostDemand as JSON, with the names of the contract.
    demand: Mapping[str, object] = field(default_factory=dict)
    #: The holder's public key, one line in OpenSSH's form; empty if they sent none.
    ssh_public_key: str = ""
    #: The instance of the warm pool that it was given; empty if what it has is made for it.
    pooled: str = ""

    @property
    def instance(self) -> str:
        """The name of what a `Maker` has made for it."""
        return self.pooled or self.id


@dataclass(frozen=True, slots=True)
class Instance:
    """What a `Maker` is to make. Equal but for the name, they can stand in for one another."""

    #: Unique in the lab for ever: that of the hold it is made for, or one of the warm pool's.
    name: str
    share: Share = Share()
    #: The image to start from, by a name of `Driver.makes`; empty is the driver's to choose.
    image: str = ""
    #: The operating system that was asked for; empty words are not asked for.
    os: OperatingSystem = OperatingSystem()
    #: The least size of its disk; 0 is the driver's to choose.
    disk_bytes: int = 0
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, hold: Hold) -> Instance:
        """Return what a hold asks for, by the name of what it has or is to get."""
        how = hold.demand.get("provisioning")
        how = how if isinstance(how, dict) else {}
        asked = hold.demand.get("os")
        words = asked if isinstance(asked, dict) else {}
        return cls(
            name=hold.instance,
            share=hold.share,
            image=str(how.get("image", "")),
            os=OperatingSystem(*(str(words.get(w, "")) for w in ("family", "distro", "version"))),
            disk_bytes=parse_size(str(how["disk"])) if how.get("disk") else 0,
            parameters={str(k): str(v) for k, v in dict(how.get("parameters", {})).items()},
        )


@dataclass(frozen=True, slots=True)
class Makes:
    """What a resource can be made into, as the lab is told of it (`Makes` of the contract)."""

    images: tuple[str, ...] = ()
    systems: tuple[OperatingSystem, ...] = ()
    #: The largest disk; 0 means that disks cannot be asked for.
    disk_bytes: int = 0
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Traits:
    """What a driver says that it can do with a resource."""

    makes: Makes | None = None
    has_power: bool = False
    has_console: bool = False
    has_repair: bool = False


class Power(StrEnum):
    """What can be done to a resource's power."""

    ON = "on"
    OFF = "off"
    CYCLE = "cycle"


@dataclass(frozen=True, slots=True)
class Connection:
    """How a test reaches a host."""

    #: `local`, `ssh`, or a word that driver and test agree on.
    protocol: str
    address: str = ""
    port: int = 0
    user: str = ""
    #: A path on the machine of the holder.
    key_file: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
