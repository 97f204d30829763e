"""No lease ends before its holder has stopped, whatever gets lost, comes late or stands still.

One replica, one holder and the real scripts, over a time of the test's own. Whenever it could be,
the lease is tried to be ended, as notifications would.
"""

import random
from collections.abc import Awaitable, Callable

import pytest

from hwprovisioner.heartbeat.beats import Alive
from hwprovisioner.heartbeat.standing import Standing
from hwprovisioner.state.beaters import Answer, Beaters, SigningOn
from hwprovisioner.state.care import GivenUp, Paused, Tended
from hwprovisioner.state.link import Link
from hwprovisioner.state.tables import AllocationState
from support.state_lab import NOW, StateLab

LIMIT = 20_000
TTL = 5_000
HOUR = 3_600_000
STEPS = 600
WAYS = ("open", "open", "open", "deaf", "unanswered", "late")
"""Between the replica and Redis; late: what was sent arrives when the way opens again."""


class Story:
    """One run of chance."""

    def __init__(self, lab: StateLab, seed: int) -> None:
        self.lab = lab
        self.chance = random.Random(seed)
        self.now_ms = 0.0
        self.ahead_ms = NOW
        self.way = "open"
        self.holder_is_heard = True
        self.tends = True
        self.standing = Standing(LIMIT, lambda: self.now_ms)
        self.beaters = Beaters(lab.checked, lab.keys, "one", "p", LIMIT)
        self.answered_ms: int | None = None
        self.under_way: list[Callable[[], Awaitable[object]]] = []
        self.number = 0
        self.deadline_ms = 0.0
        self.saved = 0

    @property
    def redis_ms(self) -> int:
        """What the clock of Redis shows."""
        return int(self.now_ms) + self.ahead_ms

    @property
    def name(self) -> str:
        return f"a{self.number}"

    async def tell(self) -> None:
        await self.allocate()
        for _ in range(STEPS):
            self.now_ms += self.chance.choice((10, 100, 100, 300, 300, 900))
            self.change()
            if self.way == "open":
                await self.arrive()
            acts = ((self.sign_on, 0.7), (self.beat, 0.2), (self.tend, 0.7), (self.expire, 0.5))
            for act, likely in self.chance.sample(acts, len(acts)):
                if self.chance.random() < likely:
                    await act()
            await self.expire()
            if self.now_ms >= self.deadline_ms:
                await self.allocate()

    def change(self) -> None:
        if self.chance.random() < 0.04:
            self.way = self.chance.choice(WAYS)
        if self.chance.random() < 0.03:
            self.holder_is_heard = self.chance.random() < 0.7
        if self.chance.random() < 0.03:
            self.tends = self.chance.random() < 0.8
        if self.chance.random() < 0.01:
            self.ahead_ms += self.chance.choice((HOUR, -HOUR, -300))

    async def allocate(self) -> None:
        """Have something new: the old one is not used any more."""
        self.number += 1
        sent_ms = self.now_ms
        await self.lab.submit(self.name, ttl_ms=TTL, now_ms=self.redis_ms)
        self.deadline_ms = sent_ms + TTL

    async def sign_on(self) -> None:
        """Send it; what comes back depends on the way."""
        sent_ms, told = self.now_ms, self.standing.told
        quoted, has_told = self.answered_ms, self.standing.has_told

        async def arrive() -> Answer:
            return await self.beaters.sign_on(quoted, told=has_told, now_ms=self.redis_ms)

        match self.way:
            case "open":
                answer = await arrive()
                self.standing.answered()
                self.answered_ms = answer.time_ms
                if answer.outcome is SigningOn.ACCEPTED:
                    self.standing.accepted(sent_ms, told)
            case "unanswered":
                await arrive()
            case "late":
                self.under_way.append(arrive)

    async def arrive(self) -> None:
        for each in self.under_way:
            await each()
        self.under_way.clear()

    async def beat(self) -> None:
        if not self.holder_is_heard:
            return
        if self.way == "open":
            outcome = await self.lab.beat(self.name, now_ms=self.redis_ms)
            if isinstance(outcome, Alive):
                self.deadline_ms = self.now_ms + outcome.remaining_ms
        elif pause := self.standing.pause():
            if self.deadline_ms > self.now_ms - pause.paused_for_ms:
                self.deadline_ms = max(self.deadline_ms, self.now_ms + TTL)
                self.saved += 1

    async def tend(self) -> None:
        if not self.tends:
            return
        outcome = await self.lab.care.tend(now_ms=self.redis_ms)
        while isinstance(outcome, GivenUp):
            outcome = await self.lab.care.tend(now_ms=self.redis_ms)
        if isinstance(outcome, Paused):
            await self.lab.care.restore(outcome, back_ms=60_000, now_ms=self.redis_ms)
        elif isinstance(outcome, Tended):
            await self.expire()

    async def expire(self) -> None:
        """Try to end the lease: that must fail until its holder has stopped."""
        await self.lab.allocations.expire(self.name, [], now_ms=self.redis_ms)
        state = self.lab.view.allocations[self.name].state
        left_ms = self.deadline_ms - self.now_ms
        assert state is not AllocationState.ENDED or left_ms <= 0, f"its holder has {left_ms} ms"


@pytest.mark.parametrize("seed", range(12))
async def test_no_lease_ends_before_its_holder_has_stopped(redis_url: str, seed: int) -> None:
    async with Link(redis_url) as link:
        story = Story(StateLab(link), seed)
        await story.tell()
        assert story.number > 1 or story.saved
