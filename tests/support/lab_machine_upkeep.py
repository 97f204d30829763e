"""The part of the state machine test that has to do with keeping, draining and health."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from hwprovisioner.state.model import Allocation, Resource
from hwprovisioner.state.tables import Health, HoldState
from support.lab_machine import flags, mostly_right, resources
from support.lab_machine_bookings import BookingMachine
from support.lab_model_upkeep import WHY

which = st.integers(0, 5)
has_ready = precondition(
    lambda self: any(a.state == "READY" for a in self.model.allocations.values())
)


class UpkeepMachine(BookingMachine):
    """A lab with people who look after it."""

    @has_ready
    @rule(
        index=which,
        span_ms=st.sampled_from([0, 1_000, 10_000]),
        right=st.sampled_from([True] * 5 + [False]),
        is_ready=st.sampled_from([True] * 5 + [False]),
    )
    def keep(self, index: int, span_ms: int, right: bool, is_ready: bool) -> None:
        ready = {i for i, a in self.model.allocations.items() if a.state == "READY"}
        name = self.pick(ready if is_ready else self.model.allocations, index)
        word = self.model.keep(name, span_ms, right)
        token = self.token(name, right=right)
        keeping = self.lab.allocations.keep(name, span_ms, token=token, now_ms=self.now)
        self.expect(word, keeping)

    @rule(name=resources, in_ms=st.sampled_from([None, 0, 3_000]))
    def drain(self, name: str, in_ms: int | None) -> None:
        deadline = self.now + in_ms if in_ms else in_ms
        word = self.model.drain(name, deadline)
        draining = self.lab.upkeep.drain(
            *(self.known(name), WHY, "eve", self.live_on(name)),
            deadline_ms=deadline,
            now_ms=self.now,
        )
        self.expect(word, draining)

    @rule(name=resources)
    def an_operator_tries_out_what_is_drained(self, name: str) -> None:
        self.drain(name, None)
        allocation = Allocation(id=f"a{next(self.ids)}", ttl_ms=5_000, user="eve", tolerates=True)
        request_id = f"request-{allocation.id}"
        word = self.model.submit(
            *(allocation.id, request_id, allocation.ttl_ms, 0, 0, "eve", ""), tolerates=True
        )
        submitting = self.lab.allocations.submit(
            allocation,
            token=f"token-{allocation.id}",
            request_id=request_id,
            digest="d",
            now_ms=self.now,
        )
        self.expect(word, submitting)
        if name in self.lab.view.resources:
            planned = [self.lab.planned(name, memory=1)]
            word = self.model.grant(allocation.id, planned, self.model.epoch)
            granting = self.lab.allocations.grant(
                allocation.id, planned, epoch=self.lab.epoch, now_ms=self.now
            )
            self.expect(word, granting)

    @rule(name=resources)
    def enable(self, name: str) -> None:
        word, live = self.model.enable(name), self.live_on(name)
        enabling = self.lab.upkeep.enable(self.known(name), WHY, "eve", live, now_ms=self.now)
        self.expect(word, enabling)

    @rule(
        name=resources,
        health=st.sampled_from(Health),
        why=st.sampled_from(["smoke", "noise"]),
        epoch_off=mostly_right,
    )
    def say_health(self, name: str, health: Health, why: str, epoch_off: int) -> None:
        who = self.speaker(self.known(name).manager or "m", epoch_off)
        word = self.model.say_health(who.manager_id, who.epoch, name, health, why)
        saying = self.lab.upkeep.say_health(who, name, health, why, now_ms=self.now)
        self.expect(word, saying)

    @rule(name=resources)
    def quarantine(self, name: str) -> None:
        word = self.model.quarantine(name)
        resource = self.known(name)
        self.expect(word, self.lab.upkeep.quarantine(resource, WHY, "eve", now_ms=self.now))

    @rule(name=resources, from_old_view=flags)
    def suspect(self, name: str, from_old_view: bool) -> None:
        seen = (self.stale if from_old_view else self.lab.view).resources.get(name)
        resource = seen or self.known(name)
        word = self.model.suspect(name, resource.looks)
        self.expect(word, self.lab.upkeep.suspect(resource, WHY, now_ms=self.now))

    def known(self, name: str) -> Resource:
        return self.lab.view.resources.get(name) or Resource(name=name, manager="m")

    def live_on(self, name: str) -> list[str]:
        holds = [self.lab.view.holds[hold] for hold in self.known(name).holds]
        return sorted({h.allocation for h in holds if h.state is not HoldState.CLEANING})
