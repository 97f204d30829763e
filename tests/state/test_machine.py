"""The scripts against a model, in any order, with the clock in the test's hand.

Each rule runs one script, and the model says what it must answer; after each step every deadline
and state must be what the model has, the promises must hold, and a view that was fed the change
log in any order must be what a fresh look at the records shows.

HWP_MACHINE=long runs far more; a failure prints the shortest run that fails.
"""

import asyncio
import os
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hwprovisioner.heartbeat.beats import Beat
from hwprovisioner.state.allocations import PlannedHold
from hwprovisioner.state.keys import Due
from hwprovisioner.state.link import Link
from hwprovisioner.state.model import Allocation, Hold
from hwprovisioner.state.tables import Health
from hwprovisioner.state.transitions import Commit
from support.lab_machine import MANAGERS, SLOTS, flags, mostly_right
from support.lab_machine_checks import check_history, check_model
from support.lab_machine_loss import LossMachine
from support.lab_promises import check_promises, check_view

NEVER = "hwp:{x}:request:none"

LONG = os.environ.get("HWP_MACHINE") == "long"
_FIXED = settings(
    deadline=None, suppress_health_check=list(HealthCheck), database=None, print_blob=True
)
PROFILES = {
    "ci": settings(_FIXED, max_examples=80, stateful_step_count=50, derandomize=True),
    "long": settings(_FIXED, max_examples=3_000, stateful_step_count=80),
}

has_queued = precondition(
    lambda self: any(a.state == "QUEUED" for a in self.model.allocations.values())
)
has_allocations = precondition(lambda self: self.model.allocations)
is_cleaning = precondition(
    lambda self: any(hold.state == "CLEANING" for hold in self.model.holds.values())
)

which = st.integers(0, 5)
requests = st.integers(0, 30)
resources = st.sampled_from(sorted(SLOTS))


class LabMachine(LossMachine):
    """Everything that can happen to a lab."""

    @initialize(seed=st.integers(0, 9))
    def begin(self, seed: int) -> None:
        self.random.seed(seed)
        # Redis looks through all the keys it has to dump those of one lab.
        self.run(self.lab.link.call("FLUSHDB"))
        self.elect(again=False)
        self.sweep()
        for name in MANAGERS:
            self.register(name)
        for index, name in enumerate(sorted(SLOTS)):
            self.describe(MANAGERS[index % 2], name, 1, True, 0, 0)

    # Allocations.

    @rule(
        request=requests,
        ttl_ms=st.sampled_from([1_500, 5_000]),
        wait_ms=st.sampled_from([0, 3_000]),
        max_ms=st.sampled_from([0, 8_000]),
        tolerates=st.sampled_from([False, False, True]),
    )
    def submit(self, request: int, ttl_ms: int, wait_ms: int, max_ms: int, tolerates: bool) -> None:
        name, request_id = f"a{next(self.ids)}", f"request-{request}"
        user, class_id = f"u{request % 2}", ["", "c1", "c2"][request % 3]
        word = self.model.submit(
            *(name, request_id, ttl_ms, wait_ms, max_ms, user, class_id), tolerates=tolerates
        )
        known = [i for i, a in self.model.allocations.items() if a.request == request_id]
        who_and_what = Allocation(id=name, user=user, class_id=class_id, tolerates=tolerates)
        allocation = replace(who_and_what, ttl_ms=ttl_ms, wait_ms=wait_ms, max_ms=max_ms)
        made, _ = self.expect(
            word,
            self.lab.allocations.submit(
                allocation,
                token=f"token-{request}",
                request_id=request_id,
                digest="d",
                now_ms=self.now,
            ),
        )
        assert [made] == known

    @has_queued
    @rule(
        index=which,
        hosts=st.lists(st.tuples(resources, st.integers(1, 3)), min_size=1, max_size=3),
        from_old_view=flags,
        epoch_off=mostly_right,
    )
    def grant(
        self, index: int, hosts: list[tuple[str, int]], from_old_view: bool, epoch_off: int
    ) -> None:
        queued = {i for i, a in self.model.allocations.items() if a.state == "QUEUED"}
        name = self.pick(queued or self.model.allocations, index)
        view = self.stale if from_old_view else self.lab.view
        planned: list[PlannedHold] = []
        for host, (resource, cpus) in enumerate(hosts):
            if known := view.resources.get(resource):
                fence = known.fence + 1 + sum(plan.resource == resource for plan in planned)
                planned.append(
                    PlannedHold(
                        *(f"h{host}", resource, known.manager, known.generation, fence),
                        *(cpus, cpus, (), known.booked),
                    )
                )
        epoch = self.model.epoch + epoch_off
        self.expect(
            self.model.grant(name, planned, epoch),
            self.lab.allocations.grant(name, planned, epoch=epoch, now_ms=self.now),
        )

    @has_allocations
    @rule(index=which, right=st.sampled_from([True] * 5 + [False]), at_once=flags)
    def release(self, index: int, right: bool, at_once: bool) -> None:
        self.give_back(self.pick(self.model.allocations, index), right=right, at_once=at_once)

    @has_allocations
    @rule(index=which, due=st.sampled_from([None, Due.WAIT, Due.MAX, Due.PREEMPT, Due.REVOKE]))
    def the_lab_ends_one(self, index: int, due: Due | None) -> None:
        self.end(self.pick(self.model.allocations, index), due)

    @has_allocations
    @rule(index=which)
    def expire(self, index: int) -> None:
        name = self.pick(self.model.allocations, index)
        word = self.model.expire(name)
        self.expect(word, self.lab.allocations.expire(name, [], now_ms=self.now))

    @has_allocations
    @rule(index=which)
    def forget(self, index: int) -> None:
        name = self.pick(self.model.allocations, index)
        known = self.lab.view.allocations.get(name, Allocation(id=name, request_key=NEVER))
        word = self.model.forget(name)
        self.expect(word, self.lab.allocations.forget(known, now_ms=self.now))

    @has_allocations
    @rule(
        indexes=st.lists(which, min_size=1, max_size=4), right=st.sampled_from([True] * 5 + [False])
    )
    def beat(self, indexes: list[int], right: bool) -> None:
        names = [self.pick(self.model.allocations, index) for index in indexes]
        words = [self.model.beat(name, right) for name in names]
        beats = [Beat(name, self.token(name, right=right)) for name in names]
        self.expect("BEATS", self.lab.beats.write(beats, now_ms=self.now))
        assert [reply.split(" ")[0] for reply in self.lab.reply[1:]] == words

    @rule(
        index=which,
        hosts=st.lists(resources, min_size=1, max_size=3),
        request=requests,
        ready=flags,
    )
    def serve(self, index: int, hosts: list[str], request: int, ready: bool) -> None:
        """What goes well: asked for, granted, accepted, perhaps ready."""
        self.offer(index, hosts, request, False)
        for event in ["accept", "ready"] if ready else ["accept"]:
            for hold_id in sorted(self.model.holds):
                self.say(event, hold_id, 0, 0, "")

    @rule(
        index=which,
        hosts=st.lists(resources, min_size=1, max_size=3),
        request=requests,
        from_old_view=flags,
    )
    def offer(self, index: int, hosts: list[str], request: int, from_old_view: bool) -> None:
        if not any(a.state == "QUEUED" for a in self.model.allocations.values()):
            self.submit(request, 5_000, 0, 8_000, False)
        room = {name: SLOTS[name] - len(self.model.holds_on(name)) for name in SLOTS}
        fitting = [name for i, name in enumerate(hosts) if hosts[:i].count(name) < room[name]]
        self.grant(index, [(name, 1) for name in fitting], from_old_view, 0)
        self.the_old_view_catches_up()

    @rule(cleaned=flags)
    def everything_is_put_right(self, cleaned: bool) -> None:
        """Managers come back with all they have; what was used is cleaned, or not."""
        for name, manager in list(self.model.managers.items()):
            if manager.presence != "ONLINE":
                self.register(name)
        for hold_id, hold in list(self.model.holds.items()):
            if cleaned and hold.state == "CLEANING":
                self.say("cleaned", hold_id, 0, 0, "")
        for index, name in enumerate(sorted(SLOTS)):
            known = self.model.resources.get(name)
            self.describe(known.manager if known else MANAGERS[index % 2], name, 1, True, 0, 0)
            self.enable(name)
            self.say_health(name, Health.HEALTHY, "", 0, 0)

    @has_allocations
    @rule(index=which, off_ms=st.sampled_from([-1, 0, 0, 1]), beat_first=flags)
    def a_lease_comes_to_its_last_moment(self, index: int, off_ms: int, beat_first: bool) -> None:
        alive = {i for i, a in self.model.allocations.items() if a.state != "ENDED"}
        name = self.pick(alive, index)
        deadline = self.model.deadlines.get(f"lease:{name}", self.now)
        self.model.now = max(self.now, deadline + off_ms)
        self.run(self.lab.looked_after(self.now))
        self.model.tended = self.now
        position = sorted(self.model.allocations).index(name) if alive else 0
        for beats in (beat_first, not beat_first):
            self.beat([position], True) if beats else self.expire(position)

    # Holds.

    @rule(
        event=st.sampled_from(
            ["accept", "accept", "ready", "ready", "decline", "fail", "progress"]
        ),
        index=which,
        fence_off=mostly_right,
        epoch_off=mostly_right,
        who=st.sampled_from([""] * 8 + MANAGERS),
    )
    def message(self, event: str, index: int, fence_off: int, epoch_off: int, who: str) -> None:
        if not self.model.holds:
            self.offer(index, sorted(SLOTS), index, False)
        live = {i for i, hold in self.model.holds.items() if hold.state != "CLEANING"}
        self.say(event, self.pick(live or self.model.holds, index), fence_off, epoch_off, who)

    @is_cleaning
    @rule(
        index=which,
        fence_off=mostly_right,
        epoch_off=mostly_right,
        who=st.sampled_from([""] * 8 + MANAGERS),
    )
    def cleaned(self, index: int, fence_off: int, epoch_off: int, who: str) -> None:
        self.say("cleaned", self.pick(self.model.holds, index), fence_off, epoch_off, who)

    def say(self, event: str, hold_id: str, fence_off: int, epoch_off: int, who: str) -> None:
        hold = self.lab.view.holds.get(hold_id, Hold(id="alone.0", resource="alone"))
        speaker = self.speaker(who or hold.manager or "m", epoch_off)
        fence = hold.fence + fence_off
        word = self.model.say(event, speaker.manager_id, speaker.epoch, hold.id, fence)
        self.expect(word, self.sent(event, speaker, hold, fence))

    # What must be so at any moment.

    @rule()
    def the_old_view_catches_up(self) -> None:
        for commit in self.shuffled(self.lab.commits):
            self.stale.offer(commit)

    def shuffled(self, commits: list[Commit]) -> list[Commit]:
        return self.random.sample(commits, len(commits))

    @invariant()
    def the_lab_is_as_the_model_says_and_keeps_its_promises(self) -> None:
        if not self.lab.epoch:
            return
        dump = self.run(self.lab.dump())
        assert dump.get("deadlines", {}) == self.model.deadlines
        records = check_promises(dump, self.dump)
        check_model(self.model, records)
        check_history(self.model, dump)
        self.dump = dump
        for commit in self.shuffled(self.run(self.lab.logged(self.follower.revision))):
            self.follower.offer(commit)
        assert self.follower.revision == self.lab.view.revision == int(dump["revision"][0])
        check_view(self.follower, records)
        check_view(self.lab.view, records)


@pytest.mark.timeout(0 if LONG else 240)
def test_the_scripts_do_what_the_model_does_in_any_order(redis_url: str) -> None:
    with asyncio.Runner() as runner:
        link = runner.run(Link(redis_url).__aenter__())
        LabMachine.runner, LabMachine.link = runner, link
        try:
            run_state_machine_as_test(LabMachine, settings=PROFILES["long" if LONG else "ci"])
        finally:
            runner.run(link.close())
