"""Durations, when the clock of Redis is set, or nobody looks for a while."""

from dataclasses import dataclass, field

import pytest

from hwprovisioner.state.history import HOUR_MS, History
from hwprovisioner.state.holds import HeldHost
from hwprovisioner.state.managers import Speaker
from hwprovisioner.state.model import Allocation
from hwprovisioner.state.reading import Reader
from hwprovisioner.state.scripts import script
from hwprovisioner.state.tables import EndReason
from support.state_lab import GIB, NOW, TOKEN, TTL, StateLab

WAIT = 30_000
HOUR = NOW // HOUR_MS
TICK = 1_000

steps = pytest.mark.parametrize("step_ms", [HOUR_MS, -HOUR_MS])
noticed = pytest.mark.parametrize("is_noticed", [False, True], ids=["in the moment", "afterwards"])


@dataclass
class Clocked:
    """A lab with a machine, and a clock that can be set."""

    lab: StateLab
    now_ms: int = NOW
    who: Speaker = field(default_factory=lambda: Speaker("", 0))

    async def begin(self) -> None:
        await self.lab.tend()
        self.who = await self.lab.register()
        await self.lab.describe(self.who)
        await self.lab.elect()

    async def passes(self, span_ms: int) -> None:
        """Let time pass, in which somebody looks as usual."""
        until_ms = self.now_ms + span_ms
        while self.now_ms < until_ms:
            self.now_ms = min(until_ms, self.now_ms + TICK)
            await self.lab.care.tend(now_ms=self.now_ms)
            await self.lab.looked_after(self.now_ms)

    async def step(self, step_ms: int, *, is_noticed: bool) -> None:
        self.now_ms += step_ms
        if is_noticed:
            await self.passes(TICK)

    async def submit(self, name: str = "a") -> None:
        allocation = Allocation(id=name, ttl_ms=TTL, wait_ms=WAIT, user="ann", class_id="class")
        await self.lab.allocations.submit(
            allocation, token=TOKEN, request_id=name, digest="", now_ms=self.now_ms
        )

    async def grant(self, name: str = "a") -> None:
        await self.lab.grant(name, now_ms=self.now_ms)

    async def make_ready(self) -> None:
        hold = self.lab.view.holds["r.1"]
        await self.lab.holds.accept(self.who, hold.id, hold.fence, now_ms=self.now_ms)
        await self.lab.holds.ready(self.who, hold, hold.fence, "{}", now_ms=self.now_ms)

    async def give_back(self, how: str) -> None:
        allocations, holds, hold = self.lab.allocations, self.lab.holds, self.lab.view.holds["r.1"]
        if how == "release":
            await allocations.release("a", [hold.id], token=TOKEN, now_ms=self.now_ms)
        elif how == "end":
            await allocations.end("a", [hold.id], EndReason.REVOKED, "", now_ms=self.now_ms)
        elif how == "expire":
            await self.lab.link.call("ZADD", self.lab.keys.deadlines, self.now_ms, "lease:a")
            await self.lab.looked_after(self.now_ms)
            await allocations.expire("a", [hold.id], now_ms=self.now_ms)
        elif how == "decline":
            await holds.decline(self.who, hold, 1, [hold.id], "", 5, now_ms=self.now_ms)
        else:
            await holds.fail(self.who, hold, hold.fence, [hold.id], "", now_ms=self.now_ms)

    async def history(self) -> History:
        return await Reader(self.lab.link, self.lab.keys).history()


@pytest.fixture
async def clocked(lab: StateLab) -> Clocked:
    found = Clocked(lab)
    await found.begin()
    return found


def slack_ms(*, is_noticed: bool) -> int:
    """What a step may be taken for, and what passes until it is noticed."""
    return 2_000 + (TICK if is_noticed else 0)


@steps
@noticed
@pytest.mark.parametrize("how", ["release", "end", "expire", "decline", "fail"])
async def test_a_step_of_the_clock_is_in_no_use_and_in_no_span(
    clocked: Clocked, step_ms: int, is_noticed: bool, how: str
) -> None:
    await clocked.submit()
    await clocked.grant()
    if how not in ("decline", "fail"):
        await clocked.make_ready()
    await clocked.passes(10_000)
    await clocked.step(step_ms, is_noticed=is_noticed)
    await clocked.give_back(how)
    history = await clocked.history()
    assert sum(history.use["ann"].values()) == pytest.approx(
        10_000, abs=slack_ms(is_noticed=is_noticed)
    )
    assert set(history.use["ann"]) <= {HOUR, HOUR + 1}
    for span in history.spans.get("class", ()):
        assert span == pytest.approx(10_000, abs=slack_ms(is_noticed=is_noticed))
    assert ("class" in history.spans) is (how not in ("decline", "fail"))


@steps
@noticed
async def test_a_step_of_the_clock_is_in_no_wait(
    clocked: Clocked, step_ms: int, is_noticed: bool
) -> None:
    await clocked.submit()
    await clocked.passes(10_000)
    await clocked.step(step_ms, is_noticed=is_noticed)
    await clocked.grant()
    [wait] = (await clocked.history()).waits["class"]
    assert wait == pytest.approx(10_000, abs=slack_ms(is_noticed=is_noticed))


@steps
@noticed
@pytest.mark.parametrize("how", ["decline", "fail"])
@pytest.mark.parametrize("is_set_first", [False, True])
async def test_who_is_sent_back_waits_for_what_was_left_whatever_the_clock(
    clocked: Clocked, step_ms: int, is_noticed: bool, how: str, is_set_first: bool
) -> None:
    await clocked.submit()
    await clocked.passes(10_000)
    if is_set_first:
        await clocked.step(step_ms, is_noticed=is_noticed)
    await clocked.grant()
    await clocked.passes(5_000)
    if not is_set_first:
        await clocked.step(step_ms, is_noticed=is_noticed)
    await clocked.give_back(how)
    deadline = await clocked.lab.deadline_ms("wait:a")
    assert deadline is not None
    left = deadline - clocked.now_ms
    assert left == pytest.approx(20_000, abs=slack_ms(is_noticed=is_noticed))


@steps
async def test_what_was_taken_back_after_a_loss_waits_likewise(
    clocked: Clocked, step_ms: int
) -> None:
    await clocked.submit()
    await clocked.passes(10_000)
    await clocked.step(step_ms, is_noticed=False)
    host = HeldHost("host", "r", 1, 1, GIB, ())
    assert not await clocked.lab.holds.retake(clocked.who, "a", [host], now_ms=clocked.now_ms)
    assert (await clocked.history()).waits["class"][0] <= 12_000
    await clocked.give_back("fail")
    deadline = await clocked.lab.deadline_ms("wait:a")
    assert deadline == pytest.approx(clocked.now_ms + 20_000, abs=2_000)


async def test_each_time_in_the_queue_counts_and_no_time_in_a_grant(clocked: Clocked) -> None:
    await clocked.submit()
    left_ms = WAIT
    for queued_ms, granted_ms in ((4_000, 60_000), (3_000, 2_000)):
        await clocked.passes(queued_ms)
        left_ms -= queued_ms
        await clocked.grant()
        [hold] = clocked.lab.view.allocations["a"].holds
        declined = clocked.lab.view.holds[hold]
        await clocked.passes(granted_ms)
        await clocked.lab.holds.decline(
            *(clocked.who, declined, declined.fence, [hold], "", 0), now_ms=clocked.now_ms
        )
        await clocked.lab.managers.rested("r", now_ms=clocked.now_ms)
        assert await clocked.lab.deadline_ms("wait:a") == clocked.now_ms + left_ms
    await clocked.passes(WAIT)
    await clocked.grant()
    assert clocked.lab.view.allocations["a"].wait_left_ms == 0


@pytest.mark.parametrize("gap_ms", [0, 1_999, 2_000, 2_001, 600_000, -1, -600_000])
async def test_steady_time_goes_by_a_gap_of_two_seconds_at_most(
    clocked: Clocked, gap_ms: int
) -> None:
    tended = await clocked.lab.tend(NOW)
    assert tended.steady_ms == NOW
    await clocked.lab.care.tend(now_ms=NOW + gap_ms)
    await clocked.lab.looked_after(NOW + gap_ms)
    tended = await clocked.lab.tend(NOW + gap_ms + 7)
    assert tended.steady_ms == NOW + min(max(gap_ms, 0), 2_000) + 7


async def test_heartbeat_replicas_keep_steady_time_going_as_well(clocked: Clocked) -> None:
    keys = clocked.lab.keys
    for passed in range(0, 10_001, TICK):
        now_ms = NOW + passed
        await clocked.lab.checked.call_script(
            script("sign_on"),
            (keys.beaters, keys.looked, keys.tended),
            (now_ms, "b", "p", 150_000, now_ms, ""),
        )
    await clocked.lab.looked_after(NOW + 10_000)
    assert (await clocked.lab.tend(NOW + 10_000)).steady_ms == NOW + 10_000
