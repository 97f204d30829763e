"""Looking after leases: pauses and restores, exact deadlines, alarms, elections."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from hwprovisioner.heartbeat.beats import Alive, Over
from hwprovisioner.state.allocations import Deposed
from hwprovisioner.state.care import Paused, Tended
from hwprovisioner.state.keys import Due, Keys
from hwprovisioner.state.link import Link
from hwprovisioner.state.tables import AllocationState
from support.eventually import eventually
from support.redis_server import running
from support.state_lab import NOW, TTL, StateLab, refused, unchanged

HOUR = 3_600_000
BACK = 60_000


async def paused_at(lab: StateLab, now_ms: int) -> Paused:
    outcome = await lab.care.tend(now_ms=now_ms)
    assert isinstance(outcome, Paused)
    return outcome


async def lease_ms(lab: StateLab, name: str) -> int | None:
    return await lab.deadline_ms(f"lease:{name}")


async def test_tending_tells_what_is_due_and_what_is_next(lab: StateLab) -> None:
    assert await lab.tend() == Tended(NOW, (), (), NOW)
    await lab.submit("a", wait_ms=500)
    await lab.submit("b", ttl_ms=1_000, wait_ms=300)
    await lab.register("m:n")
    waits = ((Due.WAIT, "b", NOW + 300), (Due.WAIT, "a", NOW + 500))
    assert await lab.tend(NOW + 299) == Tended(NOW + 299, (), waits[:1], NOW + 299)
    ahead = await lab.care.tend(ahead=3, now_ms=NOW + 299)
    coming = (*waits, (Due.LEASE, "b", NOW + 1_000))
    assert ahead == Tended(NOW + 299, (), coming, NOW + 299)
    due = ((Due.WAIT, "b"), (Due.WAIT, "a"))
    next_one = ((Due.LEASE, "b", NOW + 1_000),)
    assert await lab.tend(NOW + 501) == Tended(NOW + 501, due, next_one, NOW + 501)
    limited = await lab.care.tend(1, now_ms=NOW + 501)
    assert limited == Tended(NOW + 501, due[:1], next_one, NOW + 501)


async def test_a_lease_is_due_in_the_ms_in_which_redis_lets_its_alarm_expire(lab: StateLab) -> None:
    await lab.tend()
    await lab.submit("a")
    await lab.looked_after(NOW + TTL)
    at_its_end = await lab.tend(NOW + TTL)
    assert (at_its_end.due, at_its_end.coming) == ((), ((Due.LEASE, "a", NOW + TTL),))
    assert (await lab.tend(NOW + TTL + 1)).due == ((Due.LEASE, "a"),)


async def test_names_with_colons_come_back_whole_from_what_is_due(lab: StateLab) -> None:
    await lab.tend()
    await lab.register("m:n")
    await lab.looked_after(NOW + lab.limits.silence_ms)
    assert (await lab.tend(NOW + lab.limits.silence_ms + 1)).due == ((Due.MANAGER, "m:n"),)


async def test_a_thousand_things_that_are_due_are_told_at_once(lab: StateLab) -> None:
    await lab.tend()
    await asyncio.gather(*(lab.submit(f"a{i}", ttl_ms=1) for i in range(1_100)))
    tended = await lab.tend(NOW + 2)
    assert len(tended.due) == 1_000


@pytest.mark.parametrize("gap_ms", [2_001, HOUR, -2_001, -HOUR])
async def test_leases_are_paused_after_nobody_cared_or_the_clock_was_set(
    lab: StateLab, gap_ms: int
) -> None:
    await lab.tend()
    await lab.submit("a")
    assert await paused_at(lab, NOW + gap_ms) == Paused(str(NOW), NOW + gap_ms)
    assert await lab.deadline_ms("lease:a") == NOW + TTL


@pytest.mark.parametrize("gap_ms", [2_000, 1, 0, -2_000])
async def test_short_gaps_pause_nothing(lab: StateLab, gap_ms: int) -> None:
    await lab.tend()
    assert isinstance(await lab.care.tend(now_ms=NOW + gap_ms), Tended)


@pytest.mark.parametrize("gap_ms", [HOUR, -HOUR])
@pytest.mark.parametrize("count", [0, 1, 5, 6, 7])
async def test_every_lease_gets_its_full_length_again_in_chunks(
    lab: StateLab, gap_ms: int, count: int
) -> None:
    await lab.tend()
    for index in range(count):
        await lab.submit(f"a{index}", ttl_ms=TTL + index)
    back = NOW + gap_ms
    paused = await paused_at(lab, back)
    assert await lab.care.restore(paused, back_ms=BACK, chunk=3, now_ms=back) == count
    dump = await lab.dump()
    for index in range(count):
        assert await lease_ms(lab, f"a{index}") == back + TTL + index
        assert abs(dump[f"alarm:a{index}"] - (back + TTL + index) / 1000) <= 1
    first = ((Due.LEASE, "a0", back + TTL),) if count else ()
    assert await lab.care.tend(now_ms=back) == Tended(
        back, (), first, NOW + max(0, min(gap_ms, 2_000))
    )


async def test_what_has_ended_is_not_restored(lab: StateLab) -> None:
    await lab.tend()
    await lab.submit("a")
    await lab.allocations.release("a", [], token="the-token", now_ms=NOW)
    paused = await paused_at(lab, NOW + HOUR)
    assert await lab.care.restore(paused, back_ms=BACK, now_ms=NOW + HOUR) == 0
    assert await lease_ms(lab, "a") is None
    assert "alarm:a" not in await lab.dump()


async def test_what_ended_before_an_outage_is_remembered_after_it(lab: StateLab) -> None:
    """Its waiter may not have been told; so too if the clock was set while nobody could see it."""
    await lab.tend()
    await lab.submit("a")
    await lab.allocations.release("a", [], token="the-token", now_ms=NOW)
    due = await lab.deadline_ms("forget:a")
    assert due is not None
    for back in (NOW + 5_000, due + HOUR):
        await lab.care.restore(await paused_at(lab, back), back_ms=BACK, now_ms=back)
        assert await lab.deadline_ms("forget:a") == max(due, back + BACK)
    assert (await lab.tend(due + HOUR + 100)).due == ()


async def test_managers_get_time_to_come_back_but_never_less_than_they_had(lab: StateLab) -> None:
    await lab.tend()
    await lab.register("m")
    await lab.register("away", now_ms=NOW + HOUR)
    await lab.register("lost")
    await lab.managers.disconnect("lost", now_ms=NOW + lab.limits.silence_ms)
    late = NOW + lab.limits.silence_ms + lab.limits.lost_ms
    await lab.managers.lose("lost", now_ms=late)
    await lab.managers.settle("lost", now_ms=late)
    back = NOW + 100_000
    await lab.care.restore(await paused_at(lab, back), back_ms=BACK, now_ms=back)
    assert await lab.deadline_ms("manager:m") == back + BACK
    assert await lab.deadline_ms("manager:away") == NOW + HOUR + lab.limits.silence_ms
    assert await lab.deadline_ms("manager:lost") is None


async def test_offers_and_waits_that_nobody_could_answer_get_time_too(lab: StateLab) -> None:
    await lab.tend()
    await lab.describe(await lab.register())
    await lab.elect()
    await lab.submit("a", max_ms=TTL)
    await lab.grant("a")
    await lab.submit("b", wait_ms=10_000)
    back = NOW + HOUR
    await lab.care.restore(await paused_at(lab, back), back_ms=BACK, now_ms=back)
    for member in ("offer:r.1", "wait:b", "max:a"):
        assert await lab.deadline_ms(member) == back + BACK, member
    assert (await lab.tend(back)).due == ()


async def test_nothing_expires_while_leases_are_paused_but_beats_are_taken(lab: StateLab) -> None:
    await lab.tend()
    await lab.submit("a")
    await lab.submit("b")
    late = NOW + HOUR
    assert await unchanged(lab, lab.allocations.expire("a", [], now_ms=late)) is None
    assert lab.reply == ["PAUSED"]
    assert isinstance(await lab.beat("b", now_ms=late), Alive)
    paused = await paused_at(lab, late + 5)
    await lab.care.restore(paused, back_ms=BACK, now_ms=late + 5)
    assert await lab.allocations.expire("a", [], now_ms=late + 5) is None
    assert lab.reply == ["EARLY"]


async def test_two_replicas_that_restore_at_once_restore_everything_once(lab: StateLab) -> None:
    await lab.tend()
    for index in range(10):
        await lab.submit(f"a{index}")
    back = NOW + HOUR
    other = StateLab(lab.link)
    first, second = await paused_at(lab, back), await paused_at(other, back)
    counts = await asyncio.gather(
        lab.care.restore(first, back_ms=BACK, chunk=2, now_ms=back),
        other.care.restore(second, back_ms=BACK, chunk=2, now_ms=back + 1),
    )
    assert max(counts) == 10
    assert {await lease_ms(lab, f"a{i}") for i in range(10)} <= {back + TTL, back + 1 + TTL}
    assert isinstance(await lab.care.tend(now_ms=back + 1), Tended)


async def test_a_restore_that_comes_after_another_does_nothing(lab: StateLab) -> None:
    await lab.tend()
    await lab.submit("a")
    back = NOW + HOUR
    paused = await paused_at(lab, back)
    await lab.care.restore(paused, back_ms=BACK, now_ms=back)
    again = lab.care.restore(paused, back_ms=BACK, now_ms=back + 10_000)
    assert await unchanged(lab, again) == 0
    assert lab.reply == ["DONE"]


@pytest.mark.parametrize("left_ms", [1, 0, -1])
@pytest.mark.parametrize("beat_first", [True, False])
async def test_a_beat_that_was_taken_wins_and_a_late_one_changes_nothing(
    lab: StateLab, left_ms: int, beat_first: bool
) -> None:
    await lab.tend()
    await lab.submit("a")
    now_ms = NOW + TTL - left_ms
    await lab.looked_after(now_ms)
    if beat_first:
        outcome = await lab.beat("a", now_ms=now_ms)
        expired = await lab.allocations.expire("a", [], now_ms=now_ms)
    else:
        expired = await lab.allocations.expire("a", [], now_ms=now_ms)
        outcome = await lab.beat("a", now_ms=now_ms)
    assert isinstance(outcome, Alive if left_ms > 0 else Over)
    assert (expired is None) is (left_ms > 0)
    state = lab.view.allocations["a"].state
    assert (state is AllocationState.ENDED) is (left_ms <= 0)


async def test_a_stale_expiry_finds_the_lease_extended(lab: StateLab) -> None:
    await lab.tend()
    await lab.submit("a")
    await lab.looked_after(NOW + TTL)
    assert (await lab.tend(NOW + TTL + 1)).due == ((Due.LEASE, "a"),)
    await lab.submit("b")
    assert isinstance(await lab.beat("b", now_ms=NOW + TTL - 1), Alive)
    assert await lab.allocations.expire("b", [], now_ms=NOW + TTL) is None
    assert await lab.allocations.expire("a", [], now_ms=NOW + TTL) is not None


@asynccontextmanager
async def expired_events(url: str, keys: Keys) -> AsyncIterator[list[str]]:
    heard: list[str] = []
    async with Redis.from_url(url, decode_responses=True) as redis:
        await redis.config_set("notify-keyspace-events", "Kx")
        async with redis.pubsub() as pubsub:
            await pubsub.psubscribe(f"__keyspace@0__:{keys.alarm('')}*")
            await anext(pubsub.listen())

            async def listen() -> None:
                async for message in pubsub.listen():
                    if message["type"] == "pmessage" and message["data"] == "expired":
                        heard.append(message["channel"].rpartition(":")[2])

            task = asyncio.create_task(listen())
            try:
                yield heard
            finally:
                task.cancel()
                await asyncio.wait([task])
                await redis.config_set("notify-keyspace-events", "")


@pytest.fixture
def lazy_redis() -> Iterator[str]:
    """A Redis that expires keys only when somebody looks at them."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(running("--enable-debug-command", "yes"))
        except RuntimeError:  # Before 7.0 there was no such option, and DEBUG was on.
            server = stack.enter_context(running())
        assert server.command("DEBUG SET-ACTIVE-EXPIRE 0") == b"+OK\r\n"
        yield server.url


async def test_a_touch_makes_redis_announce_alarms_that_went_off(lazy_redis: str) -> None:
    async with Link(lazy_redis) as link, expired_events(lazy_redis, Keys()) as heard:
        lab = StateLab(link)
        seconds, _ = await link.call("TIME")
        now_ms = int(seconds) * 1000  # Alarms go by the clock of Redis.
        for allocation_id in ("lasting", "short"):
            await lab.submit(allocation_id, ttl_ms=HOUR, now_ms=now_ms)
        # Shortened here: set too late, on a busy machine, an alarm is deleted unannounced.
        assert await link.call("PEXPIRE", lab.keys.alarm("short"), "1") == 1

        async def touched() -> bool:
            await lab.care.touch(["lasting", "short"])
            return heard == ["short"]

        await eventually(touched)
        await lab.care.touch([])
        assert await link.call("EXISTS", lab.keys.alarm("lasting")) == 1
        assert lab.view.allocations["short"].state is AllocationState.QUEUED


async def test_an_election_is_kept_by_whoever_has_it_until_it_ends(lab: StateLab) -> None:
    first = await lab.care.elect("one", 1_000, now_ms=NOW)
    assert first.epoch == 1
    other = await lab.care.elect("two", 1_000, now_ms=NOW + 999)
    assert (other.epoch, other.left_ms) == (None, 1)
    assert (await lab.care.elect("one", 1_000, now_ms=NOW + 999)).epoch == 1
    assert (await lab.care.elect("two", 1_000, now_ms=NOW + 1_998)).epoch is None
    assert (await lab.care.elect("two", 1_000, now_ms=NOW + 1_999)).epoch == 2


async def test_an_election_that_ran_out_goes_on_if_nobody_followed(lab: StateLab) -> None:
    await lab.care.elect("one", 1_000, now_ms=NOW)
    assert (await lab.care.elect("one", 1_000, now_ms=NOW + 5_000)).epoch == 1
    assert (await lab.care.elect("two", 1_000, now_ms=NOW + 6_000)).epoch == 2
    assert (await lab.care.elect("one", 1_000, now_ms=NOW + 7_000)).epoch == 3


async def test_who_resigns_makes_room_at_once_and_cannot_resign_for_another(lab: StateLab) -> None:
    await lab.care.elect("one", 1_000, now_ms=NOW)
    await lab.care.elect("two", 0, now_ms=NOW)
    assert lab.reply == ["FOLLOWS", 1_000]
    await lab.care.elect("one", 0, now_ms=NOW)
    assert lab.reply == ["RESIGNED"]
    assert (await lab.care.elect("two", 1_000, now_ms=NOW)).epoch == 2
    await lab.care.elect("one", 0, now_ms=NOW + 1_000)
    assert lab.reply == ["RESIGNED"]
    assert (await lab.care.elect("two", 1_000, now_ms=NOW + 999)).epoch == 2


async def test_a_clock_set_back_does_not_keep_a_dead_scheduler_elected(lab: StateLab) -> None:
    await lab.care.elect("one", 1_000, now_ms=NOW)
    back = NOW - HOUR
    assert (await lab.care.elect("two", 1_000, now_ms=back)).epoch == 2
    await lab.submit("a", now_ms=back)
    await lab.describe(await lab.register())
    granting = lab.allocations.grant("a", [lab.planned("r")], epoch=1, now_ms=back)
    await refused(lab, granting, Deposed)
