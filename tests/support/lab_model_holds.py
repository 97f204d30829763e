"""The part of the model that managers have a say in: what becomes of holds."""

from hwprovisioner.state.tables import TABLES, HoldEvent
from support.lab_model import LabModel
from support.lab_model_records import ModelHold

REST_MS = 5_000


class HoldModel(LabModel):
    """A lab whose managers answer."""

    def outdated(self, name: str, epoch: int) -> str:
        """Return why a registration is not the newest, empty if it is."""
        known = self.managers.get(name)
        if known is None or known.epoch < epoch:
            return "FORGOTTEN"
        return "SUPERSEDED" if known.epoch > epoch else ""

    def say(self, event: str, who: str, epoch: int, hold_id: str, fence: int) -> str:
        """Return what a manager is answered; `who` is empty if it is the lab that speaks."""
        hold = self.holds.get(hold_id)
        if who and (outdated := self.outdated(who, epoch)):
            return outdated
        if hold is None or (who and hold.manager != who):
            return "NO_SUCH_HOLD"
        if hold.fence != fence:
            return "STALE_FENCE"
        if event == "progress":
            return "NOTED"
        target = TABLES["hold"][hold.state].get(event)
        if target is None:
            return "WRONG_STATE"
        if not who and not self.is_due(f"offer:{hold_id}"):
            return "EARLY"
        if target == hold.state:
            return "SAME"
        return self._moved(HoldEvent(event), hold_id, hold)

    def _moved(self, event: HoldEvent, hold_id: str, hold: ModelHold) -> str:
        allocation = self.allocations[hold.allocation] if event != "cleaned" else None
        if event is HoldEvent.ACCEPT:
            hold.state = "PREPARING"
            self.deadlines.pop(f"offer:{hold_id}")
            return "ACCEPTED"
        if allocation is None:
            self._free(hold_id)
            return "CLEANED"
        if event is HoldEvent.READY:
            hold.state = "READY"
            self.deadlines.pop(f"offer:{hold_id}", None)
            if all(self.holds[i].state == "READY" for i in allocation.holds):
                allocation.state = "READY"
            return "READY"
        if event is HoldEvent.DECLINE:
            self._send_back(hold.allocation, but=hold_id)
            self._free(hold_id)
            if known := self.resources.get(hold.resource):
                known.rest = self.now + REST_MS
                self.deadlines[f"rest:{hold.resource}"] = known.rest
            return "DECLINED"
        self._failed(hold.allocation, hold_id)
        return "FAILED"

    def _failed(self, name: str, hold_id: str) -> None:
        allocation = self.allocations[name]
        if allocation.state == "READY":
            self._end(name, "RESOURCE_LOST", hold_id)
        elif allocation.tries + 1 >= self.limits.tries:
            self._end(name, "PREPARE_FAILED", hold_id)
        else:
            allocation.tries += 1
            self._send_back(name, failed=hold_id)

    def _free(self, hold_id: str) -> None:
        hold = self.holds.pop(hold_id)
        self.deadlines.pop(f"offer:{hold_id}", None)
        known = self.resources[hold.resource]
        if self.holds_on(hold.resource):
            return
        if known.removed:
            self._remove(hold.resource)
        elif known.admin == "DRAINING":
            known.admin = "MAINTENANCE"

    def _remove(self, name: str) -> None:
        gone = self.removed[name] = self.resources.pop(name)
        gone.admin = "MAINTENANCE" if gone.admin == "DRAINING" else gone.admin
        self.deadlines.pop(f"rest:{name}", None)
