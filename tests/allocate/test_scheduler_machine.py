"""The scheduler over the scripts, on a real Redis, in any order of events.

Each step changes the lab through the scripts alone, or lets a scheduler decide and commit: one that
follows at once, and one whose view is behind, which is what a replica looks like that was deposed
or that lags. After each step the promises of the lab must hold; after the scheduler has had its
turn, nobody may wait while something open would do (promise 9).

HWP_MACHINE=long runs far more.
"""

import asyncio
import os
import random
from collections.abc import Coroutine
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from hwprovisioner.allocate.lab import Lab
from hwprovisioner.allocate.planning.board import Grant
from hwprovisioner.allocate.planning.wish import Scope
from hwprovisioner.allocate.set_demands import class_id
from hwprovisioner.state.allocations import Deposed, GrantRefused, PlannedHold
from hwprovisioner.state.link import Link
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.model import Allocation, Hold
from hwprovisioner.state.tables import AllocationState, HoldState
from hwprovisioner.state.view import View
from support.lab_dump import Dump
from support.lab_promises import Records, check_promises
from support.scheduling import demands_text, open_wishes, spec_text
from support.state_lab import NOW, TOKEN, StateLab

LONG = os.environ.get("HWP_MACHINE") == "long"
SETTINGS = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    print_blob=True,
    max_examples=2_000 if LONG else 40,
    stateful_step_count=60 if LONG else 40,
    derandomize=not LONG,
)

RESOURCES = {
    "plain-1": spec_text(cpus=8),
    "plain-2": spec_text(cpus=8),
    "gpu-1": spec_text(cpus=8, gpus=["big"], labels={"rack": "a"}),
    "gpu-2": spec_text(cpus=16, gpus=["big", "small"], labels={"rack": "b"}),
    "shared": spec_text(cpus=8, gpus=["small", "big"], instances=3),
}
SLOTS = {"shared": 3}
CPUS = {"gpu-2": 16}
DEMANDS = [
    demands_text(h={}),
    demands_text(h={"gpus": [{"model": "big"}]}),
    demands_text(h={"cpus": "6"}),
    demands_text(h={"cpus": "3", "gpus": [{}]}),
    demands_text(h={"resource": "plain-2"}),
    demands_text(h={"notResources": ["plain-1", "shared"]}),
    demands_text(h={"anyOf": [{"gpus": [{"model": "small"}]}, {"cpus": "8"}]}),
    demands_text(a={}, b={}),
    demands_text(a={"gpus": [{"model": "big"}]}, b={"cpus": "8"}, c={}),
    demands_text(relations=[("DIFFERENT", "rack", [])], a={"labels": ["rack"]}, b={}),
    demands_text(relations=[("SAME", "rack", [])], a={"labels": ["rack"]}, b={"labels": ["rack"]}),
]
which = st.integers(0, 9)


class SchedulerMachine(RuleBasedStateMachine):
    """A lab of its own, with a scheduler that is up to date and one that is behind."""

    runner: asyncio.Runner
    link: Link

    def __init__(self) -> None:
        super().__init__()
        self.state = StateLab(self.link)
        self.lab = Lab(self.state.view)
        self.behind = View()
        self.lab_behind = Lab(self.behind)
        self.old_epoch = 0
        self.ids = count()
        self.dump: Dump = {}
        self.random = random.Random(0)
        self.speakers: dict[str, Speaker] = {}

    def run(self, doing: Coroutine[Any, Any, Any]) -> Any:
        # Not the runner's own `run`, which sets up signals each time.
        return self.runner.get_loop().run_until_complete(doing)

    @initialize()
    def begin(self) -> None:
        # Redis looks through all the keys it has to dump those of one lab.
        self.run(self.state.link.call("FLUSHDB"))
        self.old_epoch = self.run(self.state.elect("old"))
        self.run(self.state.elect("new", NOW + 100_000))
        for manager in ("m", "n"):
            self.come(manager)

    # What happens to the lab.

    def come(self, manager: str) -> None:
        who = self.speakers[manager] = self.run(self.state.register(manager))
        for number, (name, spec) in enumerate(RESOURCES.items()):
            if manager == ("m", "n")[number % 2]:
                slots, cpus = SLOTS.get(name, 1), CPUS.get(name, 8)
                self.run(self.state.describe(who, name, spec, slots=slots, cpus=cpus, memory=0))

    @rule(
        demands=st.sampled_from(DEMANDS),
        user=st.sampled_from(["ann", "bob"]),
        priority=st.sampled_from([0, 0, 0, 5]),
        max_ms=st.sampled_from([0, 0, 60_000]),
        plan=st.booleans(),
    )
    def submit(self, demands: str, user: str, priority: int, max_ms: int, plan: bool) -> None:
        name = f"a{next(self.ids)}"
        allocation = Allocation(
            id=name,
            demands=demands,
            class_id=class_id(demands),
            user=user,
            priority=priority,
            max_ms=max_ms,
            ttl_ms=10_000_000,
        )
        self.run(
            self.state.allocations.submit(
                allocation, token=TOKEN, request_id=f"request-{name}", digest="d", now_ms=NOW
            )
        )
        if plan:
            self.schedule()

    @rule(index=which, plan=st.booleans())
    def release(self, index: int, plan: bool) -> None:
        alive = [a.id for a in self.state.view.allocations.values() if a.state != "ENDED"]
        if alive:
            name = alive[index % len(alive)]
            holds = self.state.view.holds_of(name)
            self.run(self.state.allocations.release(name, holds, token=TOKEN, now_ms=NOW))
        if plan:
            self.schedule()

    @rule(index=which, word=st.sampled_from(["ready", "ready", "decline", "fail"]))
    def answer(self, index: int, word: str) -> None:
        offered = [h for h in self.state.view.holds.values() if h.state is HoldState.OFFERED]
        if offered:
            self.run(self.say(offered[index % len(offered)], word))

    async def say(self, hold: Hold, word: str) -> None:
        who, holds = self.speakers[hold.manager], self.state.holds
        siblings = self.state.view.holds_of(hold.allocation)
        if word == "decline":
            await holds.decline(who, hold, hold.fence, siblings, "busy", 1_000, now_ms=NOW)
            return
        await holds.accept(who, hold.id, hold.fence, now_ms=NOW)
        if word == "ready":
            await holds.ready(who, hold, hold.fence, "{}", now_ms=NOW)
        else:
            await holds.fail(who, hold, hold.fence, siblings, "smoke", now_ms=NOW)

    @rule(index=which, everything=st.booleans(), plan=st.booleans())
    def clean(self, index: int, everything: bool, plan: bool) -> None:
        dirty = [h for h in self.state.view.holds.values() if h.state is HoldState.CLEANING]
        for hold in dirty if everything else dirty[index % len(dirty) :][:1] if dirty else []:
            who = self.speakers[hold.manager]
            self.run(self.state.holds.cleaned(who, hold.id, hold.fence, now_ms=NOW))
        if plan:
            self.schedule()

    @rule()
    def rest_is_over(self) -> None:
        for name, resource in list(self.state.view.resources.items()):
            if resource.rest_until:
                self.run(self.state.managers.rested(name, now_ms=NOW + 10_000))

    @rule(name=st.sampled_from(sorted(RESOURCES)), event=st.sampled_from(["drain", "enable"]))
    def operate(self, name: str, event: str) -> None:
        self.run(self.state.drain(name) if event == "drain" else self.state.enable(name))

    @rule(manager=st.sampled_from(["m", "n"]))
    def manager_goes_and_comes(self, manager: str) -> None:
        if self.state.view.managers[manager].presence == "ONLINE":
            epoch = self.speakers[manager].epoch
            self.run(self.state.managers.disconnect(manager, epoch, now_ms=NOW))
        else:
            self.come(manager)

    # What schedulers do.

    @rule()
    def schedule(self) -> None:
        """Plan and commit until nothing more comes of it, as the scheduler does."""
        while grants := self.lab.decide():
            for grant in grants:
                outcome = self.run(self.commit(self.state.view, grant, self.state.epoch))
                assert outcome == "granted", outcome
        self.nobody_waits_for_what_is_open()

    @rule(deposed=st.booleans())
    def schedule_from_an_old_view(self, deposed: bool) -> None:
        """What does not fit any longer changes nothing, and nothing of a deposed one fits."""
        for grant in self.lab_behind.decide():
            epoch = self.old_epoch if deposed else self.state.epoch
            outcome = self.run(self.commit(self.behind, grant, epoch))
            assert outcome == "deposed" if deposed else outcome in ("granted", "refused")
            if outcome != "granted":
                self.lab_behind.take_back(grant)

    @rule()
    def the_old_view_catches_up(self) -> None:
        for commit in self.random.sample(self.state.commits, len(self.state.commits)):
            self.behind.offer(commit)

    async def commit(self, view: View, grant: Grant, epoch: int) -> str:
        taken: dict[str, int] = {}
        holds = []
        for host, placed in grant.hosts.items():
            resource = view.resources[placed.resource]
            nth = taken[resource.name] = taken.get(resource.name, 0) + 1
            holds.append(
                PlannedHold(
                    *(host, resource.name, resource.manager, resource.generation),
                    *(resource.fence + nth, placed.share.cpus, placed.share.memory),
                    *(placed.share.gpus, resource.booked),
                )
            )
        try:
            await self.state.allocations.grant(grant.request, holds, epoch=epoch, now_ms=NOW)
        except Deposed:
            return "deposed"
        except GrantRefused:
            return "refused"
        return "granted"

    # What must be so.

    def nobody_waits_for_what_is_open(self) -> None:
        planner = self.lab.planner
        for wish in open_wishes(self.lab):
            assert planner.finder.find(wish, Scope.OPEN) is None, wish.asked.key

    @invariant()
    def promises_hold(self) -> None:
        if not self.state.epoch:
            return
        dump = self.run(self.state.dump())
        records = check_promises(dump, self.dump)
        self.dump = dump
        check_sets_are_whole(records)


def check_sets_are_whole(records: Records) -> None:
    """A set's holds are there for all of its hosts, or for none (promise 7)."""
    for allocation in records.allocations.values():
        hosts = {records.holds[hold].host for hold in allocation.holds}
        if allocation.state in (AllocationState.PREPARING, AllocationState.READY):
            assert hosts == set(Lab(View()).asked(allocation).hosts), allocation.id
        else:
            assert not hosts, allocation.id


@pytest.mark.timeout(0 if LONG else 240)
def test_the_scheduler_keeps_the_promises_in_any_order(redis_url: str) -> None:
    with asyncio.Runner() as runner:
        link = runner.run(Link(redis_url).__aenter__())
        SchedulerMachine.runner, SchedulerMachine.link = runner, link
        try:
            run_state_machine_as_test(SchedulerMachine, settings=SETTINGS)
        finally:
            runner.run(link.close())
