"""The part of the model that has to do with keeping, draining and health."""

from hwprovisioner.state.tables import Health
from support.lab_model_bookings import BookingModel
from support.lab_model_records import ModelResource

WHY = "why"
"""What the lab and operators say."""


class UpkeepModel(BookingModel):
    """A lab with people who look after it."""

    def keep(self, name: str, span: int, right_token: bool) -> str:
        allocation = self.allocations.get(name)
        if not allocation:
            return "UNKNOWN"
        if not right_token:
            return "WRONG_TOKEN"
        if allocation.state != "READY" or (self.is_due(f"lease:{name}") and not self.paused):
            return "WRONG_STATE"
        until = min(self.now + span, self.deadlines.get(f"max:{name}", self.now + span))
        allocation.keep = until if until > self.now or allocation.released else 0
        self.deadlines[f"lease:{name}"] = self.lease_end(allocation)
        return "KEPT"

    def drain(self, name: str, deadline: int | None) -> str:
        known = self.resources.get(name)
        if known is None:
            return "NO_SUCH_RESOURCE"
        held = bool(self.holds_on(name))
        known.admin = "DRAINING" if held and known.admin != "MAINTENANCE" else "MAINTENANCE"
        ends = self.now if deadline == 0 else deadline or 0
        for who in self._live_on(name):
            if not self.allocations[who].tolerates:
                self._mark(who, self.allocations[who].draining | {name: ends})
        return "DRAINED"

    def enable(self, name: str) -> str:
        known = self.resources.get(name)
        if known is None:
            return "NO_SUCH_RESOURCE"
        known.admin = "ENABLED"
        if known.health != "HEALTHY":
            known.health, known.health_reason, known.looks = "SUSPECT", WHY, known.looks + 1
        for who in self._live_on(name):
            left = {n: ms for n, ms in self.allocations[who].draining.items() if n != name}
            self._mark(who, left)
        return "ENABLED"

    def _live_on(self, name: str) -> set[str]:
        holds = (self.holds[i] for i in self.holds_on(name))
        return {hold.allocation for hold in holds if hold.state != "CLEANING"}

    def _mark(self, who: str, draining: dict[str, int]) -> None:
        self.allocations[who].draining = draining
        ends = [ms for ms in draining.values() if ms]
        if ends:
            self.deadlines[f"revoke:{who}"] = min(ends)
        else:
            self.deadlines.pop(f"revoke:{who}", None)

    def say_health(
        self, who: str, epoch: int, name: str, health: Health, why: str, look: int
    ) -> str:
        if outdated := self.outdated(who, epoch):
            return outdated
        known = self.resources.get(name)
        if known is None or known.manager != who:
            return "NO_SUCH_RESOURCE"
        if health is Health.HEALTHY:
            return self._clear(known, look)
        if look < known.looks:
            return self._find_again(known, why)
        if known.health == "QUARANTINED":
            return "SAME" if health is Health.QUARANTINED else "WRONG_STATE"
        if known.health == health and known.health_reason == why:
            return "SAME"
        known.health, known.health_reason = health, why
        return "JUDGED"

    def _clear(self, known: ModelResource, look: int) -> str:
        if known.health == "QUARANTINED":
            return "WRONG_STATE"
        if known.health == "HEALTHY" or look != known.looks:
            return "SAME"
        known.health, known.health_reason, known.outcomes = "HEALTHY", "", []
        return "JUDGED"

    def _find_again(self, known: ModelResource, why: str) -> str:
        if known.health != "HEALTHY":
            return "SAME"
        known.health, known.health_reason, known.looks = "SUSPECT", why, known.looks + 1
        return "JUDGED"

    def quarantine(self, name: str) -> str:
        if name not in self.resources:
            return "NO_SUCH_RESOURCE"
        self.resources[name].health = "QUARANTINED"
        self.resources[name].health_reason = WHY
        return "JUDGED"

    def suspect(self, name: str, looks: int) -> str:
        known = self.resources.get(name)
        if known is None:
            return "NO_SUCH_RESOURCE"
        if known.health != "HEALTHY" or known.looks != looks:
            return "WRONG_STATE" if known.health == "QUARANTINED" else "SAME"
        known.health, known.health_reason, known.looks = "SUSPECT", WHY, known.looks + 1
        return "JUDGED"
