"""What tests ask for, and what resources are, as matching sees them: immutable values."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from hwprovisioner.allocate.notation import Bounds, VersionBounds

ANY = Bounds()
ANY_VERSION = VersionBounds()


@dataclass(frozen=True, slots=True)
class GpuDemand:
    """One card of some sort. Empty words are satisfied by anything; words are in lower case."""

    brand: str = ""
    model: str = ""
    memory: Bounds = ANY


@dataclass(frozen=True, slots=True)
class OsDemand:
    """An operating system. Empty words are satisfied by anything; words are in lower case."""

    family: str = ""
    distro: str = ""
    version: VersionBounds = ANY_VERSION


@dataclass(frozen=True, slots=True)
class Provisioning:
    """How a host is to be made, as far as a resource has to be able to."""

    image: str = ""
    disk: Bounds = ANY
    parameters: frozenset[str] = frozenset()
    """The names of the parameters; what they are is the driver's business."""


@dataclass(frozen=True, slots=True)
class HostDemand:
    """What one host must be. Equal demands are satisfied by the same: a matching class."""

    kinds: frozenset[str] = frozenset()
    cpus: Bounds = ANY
    memory: Bounds = ANY
    gpus: tuple[GpuDemand, ...] = ()
    """One entry for each card."""
    os: OsDemand = OsDemand()
    labels: tuple[tuple[str, str | None], ...] = ()
    """Name and value; None for whatever value."""
    resource: str = ""
    not_resources: frozenset[str] = frozenset()
    where: str = ""
    """A CEL expression that was checked, see `where.py`; empty for none."""
    provisioning: Provisioning | None = None
    alternatives: tuple["HostDemand", ...] = ()
    """Ranked; each is a whole demand. The other fields then stand for nothing."""

    @property
    def options(self) -> tuple["HostDemand", ...]:
        """What will do, the best first: its alternatives, or itself if it has none."""
        return self.alternatives or (self,)


class RelationKind(StrEnum):
    """How the values of a label compare."""

    SAME = "same"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Relation:
    """What the values of a label have to do with one another among some hosts of a set."""

    kind: RelationKind
    label: str
    hosts: tuple[str, ...]
    """Two or more, sorted."""


@dataclass(frozen=True, slots=True)
class SetDemand:
    """A set of hosts that are wanted together."""

    hosts: Mapping[str, HostDemand]
    """By name, copies of one host each with a name of their own; not to be changed."""
    relations: tuple[Relation, ...] = ()


@dataclass(frozen=True, slots=True)
class Gpu:
    """A card. Words are in lower case."""

    brand: str = ""
    model: str = ""
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Division:
    """How a divisible resource is shared out."""

    instances: int
    default_cpus: int
    default_memory: int


@dataclass(frozen=True, slots=True)
class System:
    """An operating system that a resource has or can have. Words are in lower case."""

    family: str = ""
    distro: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Makes:
    """What a resource can be made into."""

    images: frozenset[str] = frozenset()
    systems: tuple[System, ...] = ()
    disk: int = 0
    parameters: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Spec:
    """What a resource is, but for its name: equal machines have equal specs."""

    kind: str = ""
    cpus: int = 0
    memory: int = 0
    gpus: tuple[Gpu, ...] = ()
    system: System = System()
    labels: frozenset[tuple[str, str]] = frozenset()
    division: Division | None = None
    """None if it is exclusive."""
    makes: Makes | None = None

    @property
    def slots(self) -> int:
        """How many holds it can have at once."""
        return self.division.instances if self.division else 1
