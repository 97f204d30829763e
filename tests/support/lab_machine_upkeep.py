"""The part of the state machine test that has to do with keeping, draining and health."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from hwprovisioner.state.model import Allocation, Resource
from hwprovisioner.state.tables import Health, HoldState
from support.lab_machine import flags, mostly_right, resources
from support.lab_machine_bookings import BookingMachine
from support.lab_model_upkeep import WHY

which = st.integers(0, 5)
IN_MS = {"drain": None, "drain at once": 0, "drain later": 3_000}
"""When what holds a resource is ended, by what an operator does."""


class UpkeepMachine(BookingMachine):
    """A lab with people who look after it."""

    @rule(
        name=resources,
        index=which,
        span_ms=st.sampled_from([0, 1_000, 10_000]),
        right=st.sampled_from([True] * 5 + [False]),
        is_ready=st.sampled_from([True] * 5 + [False]),
        gives_back=flags,
    )
    def keep(
        self,
        name: str,
        index: int,
        span_ms: int,
        right: bool,
        is_ready: bool,
        gives_back: bool,
    ) -> None:
        ready = {i for i, a in self.model.allocations.items() if a.state == "READY"}
        if not ready:
            self.lend(name, tolerates=True)
            ready = {i for i, a in self.model.allocations.items() if a.state == "READY"}
        kept = self.pick(ready if is_ready else self.model.allocations, index)
        word = self.model.keep(kept, span_ms, right)
        token = self.token(kept, right=right)
        keeping = self.lab.allocations.keep(kept, span_ms, token=token, now_ms=self.now)
        self.expect(word, keeping)
        if gives_back:
            self.give_back(kept, right=right, at_once=False)

    def give_back(self, name: str, *, right: bool, at_once: bool) -> None:
        word = self.model.release(name, right, at_once=at_once)
        token = self.token(name, right=right)
        releasing = self.lab.allocations.release(
            *(name, []), token=token, at_once=at_once, now_ms=self.now
        )
        self.expect(word, releasing)

    # One rule for all of it, which puts right more than it puts out of service: or there would be
    # nothing to grant.
    @rule(
        name=resources,
        what=st.sampled_from(
            [*IN_MS, "quarantine", "suspect", "say", "say", "try out", *["enable"] * 4]
        ),
        health=st.sampled_from([Health.SUSPECT, Health.QUARANTINED, *[Health.HEALTHY] * 4]),
        why=st.sampled_from(["smoke", "noise"]),
        epoch_off=mostly_right,
        look_off=mostly_right,
        from_old_view=flags,
    )
    def look_after(
        self,
        name: str,
        what: str,
        health: Health,
        why: str,
        epoch_off: int,
        look_off: int,
        from_old_view: bool,
    ) -> None:
        match what:
            case "quarantine":
                self.quarantine(name)
            case "suspect":
                self.suspect(name, from_old_view=from_old_view)
            case "say":
                self.say_health(name, health, why, epoch_off, look_off)
            case "try out":
                self.drain(name, None)
                self.lend(name, tolerates=True)
            case "enable":
                self.enable(name)
                self.say_health(name, Health.HEALTHY, "", epoch_off, look_off)
            case _:
                self.drain(name, IN_MS[what])

    def drain(self, name: str, in_ms: int | None) -> None:
        deadline = self.now + in_ms if in_ms else in_ms
        word = self.model.drain(name, deadline)
        draining = self.lab.upkeep.drain(
            *(self.known(name), WHY, "eve", self.live_on(name)),
            deadline_ms=deadline,
            now_ms=self.now,
        )
        self.expect(word, draining)

    def enable(self, name: str) -> None:
        word, live = self.model.enable(name), self.live_on(name)
        enabling = self.lab.upkeep.enable(self.known(name), WHY, "eve", live, now_ms=self.now)
        self.expect(word, enabling)

    def say_health(
        self, name: str, health: Health, why: str, epoch_off: int, look_off: int
    ) -> None:
        known = self.known(name)
        who, look = self.speaker(known.manager or "m", epoch_off), known.looks + look_off
        word = self.model.say_health(who.manager_id, who.epoch, name, health, why, look)
        saying = self.lab.upkeep.say_health(who, name, health, why, look, now_ms=self.now)
        self.expect(word, saying)

    def quarantine(self, name: str) -> None:
        word = self.model.quarantine(name)
        resource = self.known(name)
        self.expect(word, self.lab.upkeep.quarantine(resource, WHY, "eve", now_ms=self.now))

    def suspect(self, name: str, *, from_old_view: bool) -> None:
        seen = (self.stale if from_old_view else self.lab.view).resources.get(name)
        resource = seen or self.known(name)
        word = self.model.suspect(name, resource.looks)
        self.expect(word, self.lab.upkeep.suspect(resource, WHY, now_ms=self.now))

    def lend(self, name: str, *, tolerates: bool) -> None:
        """Have a resource asked for, granted if that can be, and handed over."""
        allocation = Allocation(id=f"a{next(self.ids)}", ttl_ms=5_000, max_ms=8_000, user="eve")
        allocation = allocation.updated({"tolerates": int(tolerates)})
        request_id = f"request-{allocation.id}"
        asked = (allocation.id, request_id, allocation.ttl_ms, 0, allocation.max_ms, "eve", "")
        submitting = self.lab.allocations.submit(
            allocation,
            token=f"token-{allocation.id}",
            request_id=request_id,
            digest="d",
            now_ms=self.now,
        )
        self.expect(self.model.submit(*asked, tolerates=tolerates), submitting)
        if name not in self.lab.view.resources:
            return
        planned = [self.lab.planned(name, memory=1)]
        granting = self.lab.allocations.grant(
            allocation.id, planned, epoch=self.lab.epoch, now_ms=self.now
        )
        self.expect(self.model.grant(allocation.id, planned, self.model.epoch), granting)
        for event in ("accept", "ready"):
            for hold in [self.lab.view.holds[i] for i in self.lab.view.holds_of(allocation.id)]:
                who = self.speaker(hold.manager)
                word = self.model.say(event, who.manager_id, who.epoch, hold.id, hold.fence)
                self.expect(word, self.sent(event, who, hold, hold.fence))

    def known(self, name: str) -> Resource:
        return self.lab.view.resources.get(name) or Resource(name=name, manager="m")

    def live_on(self, name: str) -> list[str]:
        holds = [self.lab.view.holds[hold] for hold in self.known(name).holds]
        return sorted({h.allocation for h in holds if h.state is not HoldState.CLEANING})
