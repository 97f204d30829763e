"""The part of the state machine test that has to do with time, managers and their resources."""

import asyncio
import random
from collections.abc import Coroutine
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from hwprovisioner.state import errors
from hwprovisioner.state.allocations import BookingStale, Deposed, GrantRefused
from hwprovisioner.state.care import Paused, Tended
from hwprovisioner.state.keys import Due
from hwprovisioner.state.link import Link
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.model import Hold
from hwprovisioner.state.tables import EndReason
from hwprovisioner.state.transitions import Limits
from hwprovisioner.state.view import View
from support.lab_dump import Dump
from support.lab_model_holds import REST_MS
from support.lab_model_managers import BACK_MS, WholeLabModel
from support.lab_model_records import ModelResource
from support.state_lab import NOW, StateLab

LIMITS = Limits(retention_ms=20_000, offer_ms=4_000, silence_ms=6_000, lost_ms=9_000, tries=2)
SHOW_UP_MS = 4_000

SLOTS = {"alone": 1, "shared": 3, "1e5.2": 1}
CPUS = 4
MANAGERS = ["m", "n"]

mostly_right = st.sampled_from([0] * 12 + [-1, 1])
resources = st.sampled_from(sorted(SLOTS))
managers = st.sampled_from(MANAGERS)
flags = st.booleans()


class ManagedMachine(RuleBasedStateMachine):
    """A lab of its own beside a model of it."""

    runner: asyncio.Runner
    link: Link

    def __init__(self) -> None:
        super().__init__()
        self.lab = StateLab(self.link, limits=LIMITS)
        self.model = WholeLabModel(LIMITS)
        self.model.now = NOW
        self.elected = ""
        self.ids = count()
        self.dump: Dump = {}
        self.follower = View()
        self.stale = View()
        self.random = random.Random(0)
        self.set_at = self.set_by = 0
        """When the clock was set and by how much, if nobody has noticed."""

    def run(self, doing: Coroutine[Any, Any, Any]) -> Any:
        # Not the runner's own `run`, which sets up signals each time.
        return self.runner.get_loop().run_until_complete(doing)

    def expect(self, word: str, doing: Coroutine[Any, Any, Any]) -> Any:
        """Run a script that must answer as the model does."""
        result = None
        try:
            result = self.run(doing)
        except (errors.StateError, GrantRefused, BookingStale, Deposed):
            assert word not in ("GRANTED", "SAME", "BOOKED", "REBOOKED", "WARNED")
        assert self.lab.reply[0] == word, (word, self.lab.reply)
        return result

    @property
    def now(self) -> int:
        return self.model.now

    def pick(self, ids: Any, index: int) -> str:
        known = sorted(ids)
        return known[index % len(known)] if known else "nothing"

    def speaker(self, name: str, off: int = 0) -> Speaker:
        known = self.model.managers.get(name)
        return Speaker(name, (known.epoch if known else 0) + off)

    def token(self, name: str, *, right: bool) -> str:
        known = self.model.allocations.get(name)
        return f"token-{known.request.partition('-')[2] if known and right else 'wrong'}"

    # Time and care.

    @rule(passed_ms=st.sampled_from([1, 100, 1_000, 2_000]))
    def time_passes(self, passed_ms: int) -> None:
        self.model.now += passed_ms

    @precondition(lambda self: self.model.deadlines)
    @rule(index=st.integers(0, 9), off_ms=st.sampled_from([-1, 0, 0, 1]), cared=flags)
    def time_jumps_onto_a_deadline(self, index: int, off_ms: int, cared: bool) -> None:
        deadlines = sorted(set(self.model.deadlines.values()))
        self.model.now = max(self.now, deadlines[index % len(deadlines)] + off_ms)
        if cared:
            self.run(self.lab.looked_after(self.now))
            self.model.tended = self.now

    @rule(gap_ms=st.sampled_from([2_001, 30_000, 3_600_000, -3_600_000]))
    def nobody_cares(self, gap_ms: int) -> None:
        self.model.now += gap_ms

    @precondition(lambda self: not self.model.paused)
    @rule(step_ms=st.sampled_from([3_600_000, -3_600_000]))
    def the_clock_is_set(self, step_ms: int) -> None:
        self.expect(self.model.tend(), self.lab.care.tend(now_ms=self.now))
        self.set_at, self.set_by = self.now, step_ms
        self.model.now += step_ms

    @precondition(lambda self: self.set_by and self.model.paused)
    @rule()
    def deadlines_follow_the_clock(self) -> None:
        """Do what a replica does that knows by how much the clock was set, unless all is over."""
        step_ms, self.set_by = self.set_by, 0
        outcome = self.expect(self.model.tend(), self.lab.care.tend(now_ms=self.now))
        assert isinstance(outcome, Paused)
        if outcome.last_ms != self.set_at:
            return
        allocations = self.lab.view.allocations.values()
        stays = [f"{Due.MAX}:{a.id}" for a in allocations if a.book_until_ms]
        ends = [a.id for a in allocations if a.preempt_ms or a.keep_ms]
        self.expect(
            self.model.shift(step_ms),
            self.lab.care.shift(outcome, step_ms, stays, ends, now_ms=self.now),
        )
        # Leases get their full length again: their alarms have not followed.
        self.sweep()

    @rule()
    def sweep(self) -> None:
        """Do what allocate does: care, and end all that is due."""
        outcome = self.expect(self.model.tend(), self.lab.care.tend(now_ms=self.now))
        if isinstance(outcome, Paused):
            self.expect(
                self.model.restore(),
                self.lab.care.restore(outcome, back_ms=BACK_MS, chunk=2, now_ms=self.now),
            )
            return
        assert isinstance(outcome, Tended)
        found = {f"{due}:{name}" for due, name in outcome.due}
        # In its very ms a lease may still be extended, and nothing is due yet.
        assert found == {name for name, due_ms in self.model.deadlines.items() if due_ms < self.now}
        for due, name in outcome.due:
            self.do_due(due, name)

    def do_due(self, due: Due, name: str) -> None:
        model, lab = self.model, self.lab
        if due is Due.LEASE:
            self.expect(model.expire(name), lab.allocations.expire(name, [], now_ms=self.now))
        elif due in (Due.WAIT, Due.MAX, Due.PREEMPT, Due.REVOKE):
            self.end(name, due)
        elif due is Due.BEGIN:
            self.begin_booking(name)
        elif due is Due.FORGET:
            allocation = lab.view.allocations[name]
            self.expect(model.forget(name), lab.allocations.forget(allocation, now_ms=self.now))
        elif due is Due.OFFER:
            # The end of an allocation may just have taken it back.
            if name in model.holds:
                self.take_back(name)
        elif due is Due.REST:
            self.expect(model.rested(name), lab.managers.rested(name, now_ms=self.now))
        else:
            self.manager_is_due(name)

    def begin_booking(self, name: str) -> None:
        word = self.model.begin(name, SHOW_UP_MS)
        beginning = self.lab.allocations.begin(name, show_up_ms=SHOW_UP_MS, now_ms=self.now)
        self.expect(word, beginning)

    def end(self, name: str, due: Due | None) -> None:
        reason = EndReason.REVOKED
        self.expect(
            self.model.end(name, reason, due or ""),
            self.lab.allocations.end(name, [], reason, "", due=due, now_ms=self.now),
        )

    def take_back(self, hold_id: str) -> None:
        hold = self.lab.view.holds[hold_id]
        self.expect(
            self.model.say("fail", "", 0, hold_id, hold.fence),
            self.lab.holds.fail(None, hold, hold.fence, [], "no answer", now_ms=self.now),
        )

    def manager_is_due(self, name: str) -> None:
        model, managers = self.model, self.lab.managers
        presence = model.managers[name].presence
        if presence == "ONLINE":
            word = model.move(name, "disconnect", None)
            self.expect(word, managers.disconnect(name, now_ms=self.now))
        elif presence == "DISCONNECTED":
            self.expect(model.move(name, "lose", None), managers.lose(name, now_ms=self.now))
        else:
            self.expect(model.settle(name), managers.settle(name, now_ms=self.now))

    async def sent(self, event: str, who: Speaker, hold: Hold, fence: int) -> None:
        holds, now_ms = self.lab.holds, self.now
        if event == "accept":
            await holds.accept(who, hold.id, fence, now_ms=now_ms)
        elif event == "ready":
            await holds.ready(who, hold, fence, "{}", now_ms=now_ms)
        elif event == "decline":
            await holds.decline(who, hold, fence, [], "busy", REST_MS, now_ms=now_ms)
        elif event == "fail":
            await holds.fail(who, hold, fence, [], "smoke", now_ms=now_ms)
        elif event == "progress":
            await holds.progress(who, hold.id, fence, "line", now_ms=now_ms)
        else:
            await holds.cleaned(who, hold.id, fence, now_ms=now_ms)

    # Managers and resources.

    @rule(name=managers, journal_id=st.sampled_from(["", "j", "j", "k"]))
    def register(self, name: str, journal_id: str = "j") -> None:
        before = self.speaker(name).epoch
        word = self.model.register(name)
        who = self.expect(word, self.lab.register(name, journal_id, now_ms=self.now))
        assert who.epoch > before
        known = self.model.managers[name]
        known.epoch = who.epoch
        if known.journal_id != journal_id:
            known.journal_id, known.journal_epoch = journal_id, who.epoch

    @rule(name=managers, epoch_off=mostly_right)
    def heard(self, name: str, epoch_off: int) -> None:
        who = self.speaker(name, epoch_off)
        word = self.model.heard(name, who.epoch)
        self.expect(word, self.lab.managers.heard(who, now_ms=self.now))

    @rule(name=managers, epoch_off=mostly_right)
    def stream_is_gone(self, name: str, epoch_off: int) -> None:
        epoch = self.speaker(name, epoch_off).epoch
        word = self.model.move(name, "disconnect", epoch)
        self.expect(word, self.lab.managers.disconnect(name, epoch, now_ms=self.now))

    @rule(name=managers)
    def manager_may_be_due(self, name: str) -> None:
        self.manager_is_due(name)

    @rule(
        manager=managers,
        name=resources,
        spec=st.integers(1, 2),
        volunteered=flags,
        seen=st.sampled_from([0, 0, 0, 1]),
        epoch_off=mostly_right,
    )
    def describe(
        self, manager: str, name: str, spec: int, volunteered: bool, seen: int, epoch_off: int
    ) -> None:
        who, text = self.speaker(manager, epoch_off), f'{{"spec": {spec}}}'
        known = self.lab.view.resources.get(name)
        present = known.manager if known else ""
        # Sometimes one that this lab has never given.
        fence = seen * ((known.fence if known else 0) + 1)
        described = ModelResource(manager, text, volunteered, SLOTS[name], CPUS, fence)
        word = self.model.describe(manager, who.epoch, name, described, present)
        self.expect(
            word,
            self.lab.managers.describe(
                *(who, name, text),
                volunteered=volunteered,
                slots=SLOTS[name],
                cpus=CPUS,
                memory=CPUS,
                seen_fence=fence,
                present_manager=present,
                now_ms=self.now,
            ),
        )

    @rule(manager=managers, name=resources, removed=flags, epoch_off=mostly_right)
    def withdraw(self, manager: str, name: str, removed: bool, epoch_off: int) -> None:
        who = self.speaker(manager, epoch_off)
        word = self.model.withdraw(manager, who.epoch, name, "why", removed=removed)
        self.expect(
            word,
            self.lab.managers.withdraw(who, name, "why", removed=removed, now_ms=self.now),
        )

    @rule(again=flags)
    def elect(self, again: bool) -> None:
        """Another scheduler with a new epoch, or the same one once more, with the one it has."""
        self.run(self.lab.link.call("HSET", self.lab.keys.scheduler, "until_ms", 0))
        before = self.elected
        self.elected = before if again and before else f"replica{next(self.ids)}"
        epoch = self.run(self.lab.elect(self.elected, now_ms=self.now))
        assert epoch == self.model.epoch + (self.elected != before)
        self.model.epoch = epoch
