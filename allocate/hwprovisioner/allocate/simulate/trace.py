"""What happened in a simulated day: plain records for the judgements and the pictures."""

from dataclasses import dataclass, field

from hwprovisioner.allocate.demand import Spec
from hwprovisioner.allocate.simulate.workload import Job


@dataclass(frozen=True, slots=True)
class HostRun:
    """A host of an allocation: where it was, and until when that was not free for others."""

    machine: str
    part: float
    """How much of the machine it had: 1 of an exclusive one, of a divisible one see `part_of`."""
    freed_ms: int


@dataclass(slots=True)
class Run:
    """A request and what became of it. Times are ms from the beginning of the day."""

    job: Job
    start_ms: int | None = None
    """When it was granted; None if it still waits."""
    end_ms: int = 0
    hosts: tuple[HostRun, ...] = ()

    def waited_ms(self, day_ms: int) -> int:
        """Return how long it waited, or has waited by the end of the day."""
        return (day_ms if self.start_ms is None else self.start_ms) - self.job.submit_ms


@dataclass(frozen=True, slots=True)
class Loan:
    """A request that used what a set kept."""

    keeper: str
    borrower: str
    machine: str
    promised_ms: int
    """By when the set was to start for certain."""


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A grant to somebody else of what the first in line lacked."""

    waiting: str
    granted: str
    at_ms: int


@dataclass(slots=True)
class Trace:
    """All of a day."""

    runs: dict[str, Run]
    """By the id of the request, in the order in which they came."""
    loans: list[Loan] = field(default_factory=list)
    promises: dict[str, int] = field(default_factory=dict)
    """By set, the start that was certain when it first kept something and it was known."""
    passed_over: list[PassedOver] = field(default_factory=list)
    events: int = 0


def part_of(spec: Spec, cpus: int) -> float:
    """Return what part of a machine a share of so many processors is.

    One measure, so that the parts of a machine never add up to more than 1: processors, and where
    there are none, instances.
    """
    if spec.division is None:
        return 1.0
    return cpus / spec.cpus if spec.cpus else 1 / spec.division.instances
