"""A lab as plain Python: what each script should answer, and what should be so afterwards.

Written from the design, not from the scripts: only the state tables are shared with them. Each
method does what one script does and returns the first word of its reply.
"""

from collections.abc import Sequence

from hwprovisioner.state.allocations import PlannedHold
from hwprovisioner.state.transitions import Limits
from support.lab_model_history import HistoryModel
from support.lab_model_records import ModelAllocation, ModelHold, ModelManager, ModelResource

PAUSED_AFTER_MS = 2000


class LabModel(HistoryModel):
    """The lab. Holds that are gone are not in it, resources that are gone leave their fence."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits
        self.allocations: dict[str, ModelAllocation] = {}
        self.holds: dict[str, ModelHold] = {}
        self.resources: dict[str, ModelResource] = {}
        self.managers: dict[str, ModelManager] = {}
        self.deadlines: dict[str, int] = {}
        self.removed: dict[str, ModelResource] = {}
        self.tended: int | None = None
        self.epoch = 0

    @property
    def paused(self) -> bool:
        return abs(self.now - (self.tended or 0)) > PAUSED_AFTER_MS

    def is_due(self, member: str) -> bool:
        return member in self.deadlines and self.deadlines[member] <= self.now

    def holds_on(self, resource: str) -> list[str]:
        return [i for i, hold in self.holds.items() if hold.resource == resource]

    def is_known(self, request: str) -> bool:
        return any(known.request == request for known in self.allocations.values())

    def submit(
        self,
        name: str,
        request: str,
        ttl: int,
        wait: int,
        longest: int,
        user: str,
        class_id: str,
        *,
        tolerates: bool = False,
    ) -> str:
        if self.is_known(request):
            return "KNOWN"
        self.allocations[name] = ModelAllocation(
            *(ttl, wait, longest, self.steady, request, user, class_id),
            tolerates=tolerates,
            wait_left=wait,
        )
        self.deadlines[f"lease:{name}"] = self.now + ttl
        if wait:
            self.deadlines[f"wait:{name}"] = self.now + wait
        return "SUBMITTED"

    def grant(self, name: str, planned: Sequence[PlannedHold], epoch: int) -> str:
        if epoch != self.epoch:
            return "DEPOSED"
        allocation = self.allocations.get(name)
        if not allocation or allocation.state != "QUEUED":
            return "NOT_QUEUED"
        taken: dict[str, list[int]] = {}
        for plan in planned:
            before = taken.setdefault(plan.resource, [])
            if not self._fits(plan, before, tolerates=allocation.tolerates):
                return "REFUSED"
            taken[plan.resource].append(plan.cpus)
        if not planned:
            return "REFUSED"
        for plan in planned:
            hold_id = f"{plan.resource}.{plan.fence}"
            self.holds[hold_id] = ModelHold(
                name, plan.resource, plan.manager, plan.fence, plan.cpus
            )
            self.resources[plan.resource].fence = plan.fence
            self.deadlines[f"offer:{hold_id}"] = self.now + self.limits.offer_ms
            allocation.holds.append(hold_id)
        self._note_wait(allocation)
        allocation.wait_left = max(0, allocation.wait_left - (self.steady - allocation.since))
        allocation.state, allocation.since, allocation.was_granted = "PREPARING", self.steady, True
        self.deadlines.pop(f"wait:{name}", None)
        if allocation.max:
            self.deadlines[f"max:{name}"] = self.now + allocation.max
        return "GRANTED"

    def _fits(self, plan: PlannedHold, before: list[int], *, tolerates: bool) -> bool:
        """Whether a host fits, after those of the same set that have `before` of the resource."""
        known = self.resources.get(plan.resource)
        if known is None or not known.volunteered or known.removed:
            return False
        manager = self.managers[known.manager]
        in_service = known.health == "HEALTHY" and (tolerates or known.admin == "ENABLED")
        holds = [self.holds[i] for i in self.holds_on(plan.resource)]
        used = sum(hold.cpus for hold in holds) + sum(before)
        return (
            manager.presence == "ONLINE"
            and known.epoch == manager.epoch
            and in_service
            and not known.rest
            and (known.manager, known.generation) == (plan.manager, plan.generation)
            and known.booked == plan.booked
            and known.fence + len(before) + 1 == plan.fence
            and len(holds) + len(before) < known.slots
            and used + plan.cpus <= known.cpus
        )

    def release(self, name: str, right_token: bool, *, at_once: bool = False) -> str:
        allocation = self.allocations.get(name)
        if not allocation:
            return "UNKNOWN"
        if not right_token:
            return "WRONG_TOKEN"
        if allocation.state == "ENDED":
            return "ENDED"
        if allocation.keep > self.now and not at_once:
            allocation.released = self.now
            self.deadlines[f"lease:{name}"] = allocation.keep
            return "KEPT"
        self._end(name, "RELEASED" if allocation.state == "READY" else "CANCELLED")
        return "RELEASED"

    def end(self, name: str, reason: str, due: str) -> str:
        allocation = self.allocations.get(name)
        if not allocation:
            return "UNKNOWN"
        if allocation.state == "ENDED":
            return "BEFORE"
        if due and not self.is_due(f"{due}:{name}"):
            return "EARLY"
        self._end(name, reason)
        return "ENDED"

    def expire(self, name: str) -> str:
        allocation = self.allocations.get(name)
        if not allocation:
            return "UNKNOWN"
        if allocation.state == "ENDED":
            return "BEFORE"
        if not self.is_due(f"lease:{name}"):
            return "EARLY"
        if self.paused:
            return "PAUSED"
        self._end(name, "RELEASED" if allocation.released else "EXPIRED")
        return "EXPIRED"

    def lease_end(self, allocation: ModelAllocation) -> int:
        """When a lease ends that was extended just now."""
        if allocation.released:
            return allocation.keep
        return max(self.now + allocation.ttl, allocation.keep)

    def beat(self, name: str, right_token: bool) -> str:
        allocation = self.allocations.get(name)
        if not allocation:
            return "UNKNOWN"
        if not right_token:
            return "WRONG_TOKEN"
        if allocation.state == "ENDED" or (self.is_due(f"lease:{name}") and not self.paused):
            return "ENDED"
        if allocation.state == "BOOKED":
            return "BEAT"
        self.deadlines[f"lease:{name}"] = self.lease_end(allocation)
        return "BEAT"

    def forget(self, name: str) -> str:
        if not self.is_due(f"forget:{name}"):
            return "EARLY"
        del self.allocations[name], self.deadlines[f"forget:{name}"]
        return "FORGOTTEN"

    def _end(self, name: str, reason: str, failed: str = "") -> None:
        allocation = self.allocations[name]
        self._clean(allocation, failed=failed)
        allocation.state, allocation.reason = "ENDED", reason
        for due in ("begin", "lease", "wait", "max", "preempt", "revoke"):
            self.deadlines.pop(f"{due}:{name}", None)
        self.deadlines[f"forget:{name}"] = self.now + self.limits.retention_ms

    def _clean(self, allocation: ModelAllocation, but: str = "", failed: str = "") -> None:
        if allocation.holds:
            assert allocation.was_granted
            span = max(0, self.steady - allocation.since)
            self._use(allocation.user, len(allocation.holds), self.steady - span)
            if allocation.state == "READY":
                self._remember(self.spans, allocation.class_id, span)
        for hold_id in allocation.holds:
            if hold_id == but:
                continue
            hold = self.holds[hold_id]
            resource = self.resources[hold.resource]
            if hold.state == "READY" or (hold_id == failed and hold.state == "PREPARING"):
                self._note_outcome(resource, allocation, has_failed=hold_id == failed)
            resource.fence += 1
            hold.state, hold.fence = "CLEANING", resource.fence
            self.deadlines.pop(f"offer:{hold_id}", None)
        allocation.holds = []

    def _send_back(self, name: str, but: str = "", failed: str = "") -> None:
        allocation = self.allocations[name]
        self._clean(allocation, but, failed)
        allocation.state, allocation.since, allocation.draining = "QUEUED", self.steady, {}
        allocation.preempt, allocation.preempted_for = 0, ""
        self.deadlines.pop(f"preempt:{name}", None)
        self.deadlines.pop(f"revoke:{name}", None)
        if not allocation.book_until:
            self.deadlines.pop(f"max:{name}", None)
        if allocation.wait:
            self.deadlines[f"wait:{name}"] = self.now + allocation.wait_left
