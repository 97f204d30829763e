from collections.abc import AsyncIterator

import pytest

from hwprovisioner.heartbeat.beats import (
    Alive,
    Beat,
    BeatWriter,
    Outcome,
    Over,
    Unknown,
    WrongToken,
)
from hwprovisioner.state.keys import Keys
from hwprovisioner.state.link import Link
from hwprovisioner.state.tables import EndReason
from support.lab_state import TOKEN, LabState

# In the future, so that Redis does not delete alarm keys at once.
NOW = 4_000_000_000_000
TTL = 30_000


@pytest.fixture
async def lab(redis_url: str) -> AsyncIterator[LabState]:
    async with Link(redis_url) as link:
        yield LabState(link)


async def beat(
    lab: LabState, name: str, *, token: str = TOKEN, now_ms: int | None = None
) -> Outcome:
    [outcome] = await BeatWriter(lab.link, lab.keys).write([Beat(name, token)], now_ms=now_ms)
    return outcome


async def test_a_beat_extends_the_lease_to_its_full_length_from_now(lab: LabState) -> None:
    await lab.submit("a", ttl_ms=TTL, now_ms=NOW)
    assert await beat(lab, "a", now_ms=NOW + 10_000) == Alive(TTL, TTL, "QUEUED", None)
    assert await lab.deadline_ms("a") == NOW + 10_000 + TTL
    assert abs(await lab.alarm_ms("a") - (NOW + 10_000 + TTL)) < 1000


async def test_the_clock_is_that_of_redis(lab: LabState) -> None:
    await lab.submit("a", ttl_ms=TTL)
    before = await lab.now_ms()
    await beat(lab, "a")
    assert before + TTL <= await lab.deadline_ms("a") <= await lab.now_ms() + TTL


async def test_a_beat_is_no_change_of_the_lab(lab: LabState) -> None:
    await lab.submit("a")
    revision = await lab.link.call("GET", lab.keys.revision)
    await beat(lab, "a")
    assert await lab.link.call("GET", lab.keys.revision) == revision
    assert await lab.link.call("XLEN", lab.keys.log) == int(revision)


async def test_each_beat_of_a_batch_is_answered_on_its_own(lab: LabState) -> None:
    for name in ("a", "b", "c", "d"):
        await lab.submit(name, ttl_ms=TTL, now_ms=NOW)
    await lab.end("b", EndReason.REVOKED, "the operator said so")
    beats = [
        Beat("a", TOKEN),
        Beat("b", TOKEN),
        Beat("c", "another"),
        Beat("nobody", TOKEN),
        Beat("d", TOKEN),
        Beat("b", "another"),
        Beat("a", TOKEN),
    ]
    outcomes = await BeatWriter(lab.link, lab.keys).write(beats, now_ms=NOW + 1)
    alive = Alive(TTL, TTL, "QUEUED", None)
    ended = Over("REVOKED", "the operator said so")
    assert outcomes == [alive, ended, WrongToken(), Unknown(), alive, WrongToken(), alive]
    assert await lab.deadline_ms("c") == NOW + TTL
    assert await lab.deadline_ms("d") == NOW + TTL + 1


@pytest.mark.parametrize("late_ms", [0, 1, 3_600_000])
async def test_a_late_beat_does_not_bring_a_lease_back(lab: LabState, late_ms: int) -> None:
    await lab.submit("a", ttl_ms=TTL, now_ms=NOW)
    late = NOW + TTL + late_ms
    await lab.tend(late)
    assert await beat(lab, "a", now_ms=late) == Over("EXPIRED", "no heartbeat came in time")
    assert await lab.deadline_ms("a") == NOW + TTL
    assert await lab.allocations.expire("a", [], now_ms=late) is not None
    assert await beat(lab, "a", now_ms=late) == Over("EXPIRED", "no heartbeat came in time")


async def test_a_beat_in_the_last_moment_wins(lab: LabState) -> None:
    await lab.submit("a", ttl_ms=TTL, now_ms=NOW)
    last = NOW + TTL - 1
    await lab.tend(last)
    assert isinstance(await beat(lab, "a", now_ms=last), Alive)
    assert await lab.allocations.expire("a", [], now_ms=NOW + TTL) is None


async def test_while_leases_are_not_looked_after_none_is_over(lab: LabState) -> None:
    await lab.submit("a", ttl_ms=TTL, now_ms=NOW)
    await lab.tend(NOW)
    late = NOW + TTL + 60_000
    assert await lab.allocations.expire("a", [], now_ms=late) is None
    assert isinstance(await beat(lab, "a", now_ms=late), Alive)
    assert await lab.deadline_ms("a") == late + TTL


async def test_what_is_left_of_the_maximum_duration_is_told(lab: LabState) -> None:
    await lab.submit("a", ttl_ms=TTL, max_ms=60_000, now_ms=NOW)
    assert await beat(lab, "a", now_ms=NOW) == Alive(TTL, TTL, "QUEUED", None)
    # As a grant does.
    await lab.link.call("ZADD", lab.keys.deadlines, NOW + 60_000, "max:a")
    assert await beat(lab, "a", now_ms=NOW + 20_000) == Alive(TTL, TTL, "QUEUED", 40_000)


async def test_labs_do_not_know_each_other(lab: LabState) -> None:
    await lab.submit("a")
    [outcome] = await BeatWriter(lab.link, Keys("other")).write([Beat("a", TOKEN)])
    assert outcome == Unknown()
