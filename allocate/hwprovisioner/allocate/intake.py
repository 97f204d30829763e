"""Taking requests in: what can be queued is queued, the rest is refused with the reason."""

import dataclasses
import secrets
from collections.abc import Callable
from typing import Any

from hwprovisioner.allocate.freshness import Freshness
from hwprovisioner.allocate.identity import digest_of, new_id, token_of
from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.requests import Asked
from hwprovisioner.allocate.set_demands import class_id, text_of
from hwprovisioner.allocate.stored_texts import requestor_to_json
from hwprovisioner.allocate.telling.explain import why_never
from hwprovisioner.allocate.violations import span
from hwprovisioner.serving import Refused, bad_request
from hwprovisioner.state.allocations import Allocations
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.reading import Reader
from hwprovisioner.v1 import allocate_service_pb2 as pb
from hwprovisioner.v1 import allocation_pb2, demand_pb2

QUEUE_LIMIT = 100_000
"""So many requests may be queued; more are refused with QUEUE_FULL."""
CLASS_LIMIT = 1_000
"""So many different demands may one user have queued; more are refused with QUEUE_FULL."""


@dataclasses.dataclass(frozen=True, slots=True)
class Taken:
    """A request that was taken in."""

    allocation_id: str
    token: str
    is_new: bool
    """Whether it was queued just now, and not by the same request before."""


class Intake:
    """Takes in requests for hardware."""

    def __init__(
        self,
        lab: Lab,
        freshness: Freshness,
        allocations: Allocations,
        reader: Reader,
        on_queueing: Callable[[Allocation], None],
    ) -> None:
        """Queue into `lab`; `on_queueing` is told of each request right before that."""
        self._lab = lab
        self._freshness = freshness
        self._allocations = allocations
        self._reader = reader
        self._on_queueing = on_queueing

    async def submit(self, request: pb.AllocateRequest, asked: Asked) -> Taken:
        """Queue a request, or find what it made before."""
        request_id = asked.request_id or secrets.token_urlsafe(24)
        allocation = new_allocation(
            request.demands,
            request.requestor,
            ttl_ms=asked.ttl_ms,
            priority=asked.priority,
            wait_ms=asked.wait_ms,
            max_ms=asked.max_ms,
            ssh_public_key=asked.ssh_public_key,
            tolerates=request.tolerate_maintenance,
        )
        digest = digest_of(allocation)
        await self._check(allocation, request_id)
        token = token_of(request_id)
        if (max_ms := self._lab.policy.max_ms_of(asked.max_ms)) != asked.max_ms:
            allocation = dataclasses.replace(allocation, max_ms=max_ms)
        self._on_queueing(allocation)
        allocation_id, revision = await self._allocations.submit(
            allocation,
            token=token,
            request_id=request_id,
            digest=digest,
        )
        await self._freshness.has(allocation_id, revision)
        return Taken(allocation_id, token, revision is not None)

    async def _check(self, allocation: Allocation, request_id: str) -> None:
        """Refuse what cannot be queued, unless it was queued by the same request before."""
        if self._refusal(allocation) and await self._reader.submitted(request_id) is None:
            # What would satisfy it may have come at another replica just now.
            await self._freshness.catch_up()
            if refusal := self._refusal(allocation):
                raise refusal

    def _refusal(self, allocation: Allocation) -> Exception | None:
        """Return why a request cannot be queued, if it is a new one."""
        limit_ms = self._lab.policy.limit_max_ms
        if 0 < limit_ms < allocation.max_ms:
            asked, most = span(allocation.max_ms), span(limit_ms)
            return bad_request([("max_duration", f"is {asked}, the lab's policy allows {most}")])
        return (
            self._no_operator(allocation)
            or _full(self._lab, allocation)
            or unsatisfiable(self._lab, allocation)
            or over_every_quota(self._lab, allocation)
        )

    def _no_operator(self, allocation: Allocation) -> Refused | None:
        if not allocation.tolerates or allocation.user in self._lab.policy.operators:
            return None
        return Refused(
            "NOT_OPERATOR",
            f"tolerate_maintenance is for operators, and the lab's policy does not name"
            f" {allocation.user!r} as one: ask without it, or ask the lab's admins",
            metadata={"user": allocation.user},
        )


def new_allocation(
    demands: demand_pb2.Demands,
    requestor: allocation_pb2.Requestor,
    **more: Any,  # noqa: ANN401  # what its fields are
) -> Allocation:
    """Return a new allocation as it is stored, with more of its fields."""
    text = text_of(demands)
    return Allocation(
        id=new_id(),
        demands=text,
        class_id=class_id(text),
        requestor=requestor_to_json(requestor),
        user=requestor.user,
        **more,
    )


def unsatisfiable(lab: Lab, allocation: Allocation) -> Refused | None:
    """Return the refusal of what nothing registered could ever satisfy, None if something could."""
    asked = lab.asked(allocation)
    if lab.planner.feasible(asked):
        return None
    never = why_never(asked, lab.planner.inventory)
    if not never:
        never = dict.fromkeys(asked.hosts, "could be had, but not together with the others")
    return Refused(
        "UNSATISFIABLE",
        "nothing registered could ever satisfy this: "
        + "; ".join(f"{host}: {why}" for host, why in never.items())
        + ". Ask for less, or see what there is: hwp get resources",
        metadata=dict(never),
        preconditions=[("UNSATISFIABLE", host, why) for host, why in never.items()],
    )


def over_every_quota(lab: Lab, allocation: Allocation) -> Refused | None:
    """Return the refusal of more than a quota could ever allow, None if it could be allowed."""
    if not lab.accounts.has_quotas:
        return None
    why = lab.accounts.never(allocation.user, lab.asked(allocation).demand.hosts)
    if not why:
        return None
    return Refused(
        "QUOTA_NEVER",
        f"this could never be had: {why}. Ask for less, or ask the lab's admins for more quota",
        metadata={"quota": why},
        preconditions=[("QUOTA_NEVER", allocation.user, why)],
    )


def _full(lab: Lab, allocation: Allocation) -> Refused | None:
    if lab.queue_length >= QUEUE_LIMIT:
        return _queue_full(f"{lab.queue_length} requests are queued, which is the limit", lab)
    mine = lab.planner.queue.user(allocation.user)
    if len(mine.by_class) >= CLASS_LIMIT and lab.asked(allocation).bit not in mine.by_class:
        whose = allocation.user or "those who do not say who they are"
        return _queue_full(f"{CLASS_LIMIT} different demands of {whose} are queued", lab)
    return None


def _queue_full(what: str, lab: Lab) -> Refused:
    return Refused(
        "QUEUE_FULL",
        f"{what}: try again later",
        metadata={"queued": str(lab.queue_length)},
        retry_after_ms=10_000,
    )
