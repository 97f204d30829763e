"""What tests ask for, and what resources are, as matching sees them: immutable values."""

from dataclasses import dataclass

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
    """An operating system. Empty words are satisfied by anything."""

    family: str = ""
    distro: str = ""
    version: VersionBounds = ANY_VERSION


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
class Spec:
    """What a resource is."""

    name: str
    kind: str = ""
    cpus: int = 0
    memory: int = 0
    gpus: tuple[Gpu, ...] = ()
    family: str = ""
    distro: str = ""
    version: str = ""
    labels: frozenset[tuple[str, str]] = frozenset()
    division: Division | None = None
    """None if it is exclusive."""

    @property
    def slots(self) -> int:
        """How many holds it can have at once."""
        return self.division.instances if self.division else 1
