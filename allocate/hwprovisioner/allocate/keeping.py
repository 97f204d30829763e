"""Keeping allocations as they are for a look at what went wrong, as long as the policy allows."""

from hwprovisioner.allocate.freshness import Freshness
from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.violations import Violations, span
from hwprovisioner.serving import Refused
from hwprovisioner.state.allocations import Allocations
from hwprovisioner.state.errors import WrongState
from hwprovisioner.v1 import allocate_service_pb2 as pb

_DAY_MS = 86_400_000


class KeepingDesk:
    """Keeps allocations."""

    def __init__(self, lab: Lab, freshness: Freshness, allocations: Allocations) -> None:
        """Go by the policy of `lab`."""
        self._lab = lab
        self._freshness = freshness
        self._allocations = allocations

    async def keep(self, request: pb.KeepAllocationRequest) -> None:
        """Keep an allocation for a while, or no longer; returns once the view shows it.

        Raises:
            NoSuchAllocation, WrongToken: as they say.
            Refused: NOT_READY, it has no hosts; OVER_POLICY, the policy allows less.
        """
        span_ms = _span_ms(request)
        most_ms = self._lab.policy.most_keep_ms
        if span_ms > most_ms:
            allowed = f"at most {span(most_ms)}" if most_ms else "that nothing is kept"
            raise Refused(
                "OVER_POLICY",
                f"duration is {span(span_ms)}, the lab's policy allows {allowed}",
                metadata={"most_ms": str(most_ms)},
            )
        await self._freshness.check()
        try:
            revision = await self._allocations.keep(
                request.allocation_id, span_ms, token=request.token
            )
        except WrongState as error:
            raise Refused(
                "NOT_READY",
                f"allocation {request.allocation_id!r} is {error.metadata['state']}: only what is"
                " ready can be kept",
                metadata={"allocation_id": request.allocation_id},
            ) from None
        await self._freshness.has(request.allocation_id, revision)


def _span_ms(request: pb.KeepAllocationRequest) -> int:
    violations = Violations()
    if request.allocation_id:
        violations.name("allocation_id", request.allocation_id)
    else:
        violations.add("allocation_id", "is missing: it came with the first update")
    if not request.token:
        violations.add("token", "is missing: it came with the first update")
    span_ms = violations.duration_ms("duration", request.duration, 0, 30 * _DAY_MS)
    violations.check()
    return span_ms
