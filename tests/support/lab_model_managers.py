"""The rest of the model: managers, their resources, and who looks after the lab."""

from hwprovisioner.state.tables import TABLES
from support.lab_model_records import ModelManager, ModelResource
from support.lab_model_upkeep import UpkeepModel

BACK_MS = 60_000
OVERDUE_MS = 5_000
PUT_OFF = ("manager", "offer", "wait", "max", "preempt", "revoke", "forget")


class WholeLabModel(UpkeepModel):
    """A lab with managers."""

    def register(self, name: str) -> str:
        known = self.managers.setdefault(name, ModelManager())
        known.presence = "ONLINE"
        self.deadlines[f"manager:{name}"] = self.now + self.limits.silence_ms
        return "REGISTERED"

    def recognize(self, revision: int) -> None:
        """Redis has come back with what there is now."""
        for name, known in self.managers.items():
            if known.presence == "ONLINE":
                known.presence, known.epoch = "DISCONNECTED", 0
                self.deadlines[f"manager:{name}"] = self.now + self.limits.lost_ms
        self.tended, self.epoch = 0, revision

    def heard(self, name: str, epoch: int) -> str:
        if outdated := self.outdated(name, epoch):
            return outdated
        known = self.managers[name]
        if known.presence != "ONLINE":
            return "WRONG_STATE"
        self.deadlines[f"manager:{name}"] = self.now + self.limits.silence_ms
        return "HEARD"

    def move(self, name: str, event: str, epoch: int | None) -> str:
        """Disconnect or lose a manager: the stream of an epoch is gone, or it is due."""
        known = self.managers.get(name)
        if epoch is None and not self.is_due(f"manager:{name}"):
            return "EARLY"
        if epoch is not None and (known is None or known.epoch != epoch):
            return "SUPERSEDED"
        assert known is not None
        target = TABLES["presence"][known.presence].get(event)
        if target is None:
            return "WRONG_STATE"
        known.presence = str(target)
        wait_ms = self.limits.lost_ms if event == "disconnect" else 0
        self.deadlines[f"manager:{name}"] = self.now + wait_ms
        return "MOVED"

    def settle(self, name: str) -> str:
        known = self.managers.get(name)
        if known is not None and known.presence != "LOST":
            return "WRONG_STATE"
        self.deadlines.pop(f"manager:{name}", None)
        return "SETTLED"

    def describe(
        self, who: str, epoch: int, name: str, described: ModelResource, present: str
    ) -> str:
        if outdated := self.outdated(who, epoch):
            return outdated
        known, described.epoch = self.resources.get(name), epoch
        if known is None:
            self.resources[name] = described
            if gone := self.removed.get(name):
                described.fence = max(gone.fence, described.fence)
                described.admin = gone.admin
                described.health, described.health_reason = gone.health, gone.health_reason
                described.looks = gone.looks + (gone.health == "SUSPECT")
            return "DESCRIBED"
        if known.manager != who:
            lost = self.managers[known.manager].presence == "LOST"
            if known.manager != present or not lost or self.holds_on(name):
                return "TAKEN"
        elif (
            (known.removed, known.why) == (False, "")
            and (known.spec, known.volunteered) == (described.spec, described.volunteered)
            and (known.epoch, max(known.fence, described.fence)) == (epoch, known.fence)
        ):
            return "SAME"
        known.generation += known.spec != described.spec
        known.manager, known.spec = who, described.spec
        known.volunteered, known.removed, known.why = described.volunteered, False, ""
        known.epoch, known.fence = epoch, max(known.fence, described.fence)
        return "DESCRIBED"

    def withdraw(self, who: str, epoch: int, name: str, why: str, *, removed: bool) -> str:
        if outdated := self.outdated(who, epoch):
            return outdated
        known = self.resources.get(name)
        if known is None or known.manager != who:
            return "NO_SUCH_RESOURCE"
        if removed and not self.holds_on(name):
            self._remove(name)
            return "WITHDRAWN"
        if (known.volunteered, known.why, known.removed) == (False, why, removed):
            return "SAME"
        known.volunteered, known.why, known.removed = False, why, removed
        return "WITHDRAWN"

    def rested(self, name: str) -> str:
        if not self.is_due(f"rest:{name}"):
            return "EARLY"
        del self.deadlines[f"rest:{name}"]
        self.resources[name].rest = 0
        return "RESTED"

    def tend(self) -> str:
        self.look()
        if self.tended is not None and self.paused:
            return "PAUSED"
        self.tended = self.now
        return "TENDED"

    def shift(self, step: int) -> str:
        """Let what is due after some time follow a clock that was set."""
        assert self.tended is not None
        oldest = self.tended - OVERDUE_MS if step < 0 else 0
        for member, deadline in self.deadlines.items():
            due, _, name = member.partition(":")
            is_chosen = due == "max" and self.allocations[name].book_until
            if due not in ("begin", "revoke") and not is_chosen and deadline >= oldest:
                self.deadlines[member] += step
        for allocation in self.allocations.values():
            if allocation.preempt and allocation.preempt >= oldest:
                allocation.preempt += step
            if allocation.keep and allocation.keep >= oldest:
                allocation.keep += step
        self.tended = 0
        return "SHIFTED"

    def restore(self) -> str:
        for name, allocation in self.allocations.items():
            if allocation.state not in ("ENDED", "BOOKED"):
                self.deadlines[f"lease:{name}"] = self.lease_end(allocation)
        for member, deadline in self.deadlines.items():
            if member.partition(":")[0] in PUT_OFF:
                self.deadlines[member] = max(deadline, self.now + BACK_MS)
        self.tended = self.now
        return "RESTORED"
