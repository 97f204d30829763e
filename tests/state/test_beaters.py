"""Heartbeat replicas that sign on: what a silent one does to leases, and when it is heard."""

import pytest

from hwprovisioner.heartbeat.beats import Alive
from hwprovisioner.state.beaters import SILENT_AFTER_MS, Beaters, SigningOn
from hwprovisioner.state.care import GivenUp, Outcome, Paused, Silent, Tended
from support.state_lab import NOW, TTL, StateLab, unchanged

LIMIT = 150_000
HOUR = 3_600_000
BACK = 60_000


class Replica:
    """A heartbeat replica that quotes what it was answered, as the service does."""

    def __init__(self, lab: StateLab, name: str = "one", process: str = "p1") -> None:
        self.beaters = Beaters(lab.checked, lab.keys, name, process, LIMIT)
        self.answered_ms: int | None = None

    async def say(self, now_ms: int, *, told: bool = False) -> SigningOn:
        """Sign on once."""
        answer = await self.beaters.sign_on(self.answered_ms, told=told, now_ms=now_ms)
        assert answer.time_ms == now_ms
        self.answered_ms = now_ms
        return answer.outcome

    async def sign_on(self, now_ms: int, *, told: bool = False) -> None:
        """Sign on until it is accepted."""
        if await self.say(now_ms, told=told) is not SigningOn.ACCEPTED:
            assert await self.say(now_ms, told=told) is SigningOn.ACCEPTED


async def go_on(lab: StateLab, since: int, until: int, *replicas: Replica) -> None:
    """Let time pass in which the lab is looked at, and the replicas are there."""
    for now_ms in range(since, until + 1, 500):
        for replica in replicas:
            await replica.sign_on(now_ms)
        await lab.care.tend(now_ms=now_ms)


async def seen(lab: StateLab, now_ms: int) -> Outcome:
    return await lab.care.tend(now_ms=now_ms)


async def restored(lab: StateLab, now_ms: int) -> None:
    outcome = await seen(lab, now_ms)
    assert isinstance(outcome, Paused), outcome
    await lab.care.restore(outcome, back_ms=BACK, now_ms=now_ms)


@pytest.mark.parametrize("late_ms", [0, 1])
async def test_leases_are_paused_once_a_replica_is_silent_and_not_before(
    lab: StateLab, late_ms: int
) -> None:
    one = Replica(lab)
    await lab.submit("a", ttl_ms=SILENT_AFTER_MS)
    await go_on(lab, NOW - 500, NOW, one)
    now_ms = NOW + SILENT_AFTER_MS + late_ms
    await lab.looked_after(now_ms)
    expired = await lab.allocations.expire("a", [], now_ms=now_ms)
    assert (expired is None) is bool(late_ms)
    assert isinstance(await seen(lab, now_ms), Silent if late_ms else Tended)


async def test_who_is_silent_and_for_how_long_is_told(lab: StateLab) -> None:
    one, two = Replica(lab), Replica(lab, "two")
    await go_on(lab, NOW, NOW, one, two)
    await go_on(lab, NOW + 500, NOW + 3_000, two)
    assert await seen(lab, NOW + 3_100) == Silent("one", 3_100, LIMIT)


async def test_late_beats_are_taken_while_a_replica_is_silent(lab: StateLab) -> None:
    one = Replica(lab)
    await lab.submit("a", ttl_ms=3_000)
    await go_on(lab, NOW, NOW, one)
    await go_on(lab, NOW + 500, NOW + 5_000)
    assert isinstance(await lab.beat("a", now_ms=NOW + 5_000), Alive)


async def test_when_it_is_back_leases_have_their_full_length_before_any_ends(
    lab: StateLab,
) -> None:
    one, two = Replica(lab), Replica(lab, "two")
    await lab.submit("a", ttl_ms=3_000)
    await go_on(lab, NOW, NOW, one, two)
    await go_on(lab, NOW + 500, NOW + 10_000, two)
    await one.sign_on(NOW + 10_100)
    assert await lab.allocations.expire("a", [], now_ms=NOW + 10_100) is None
    assert lab.reply == ["PAUSED"]
    await restored(lab, NOW + 10_200)
    assert await lab.deadline_ms("lease:a") == NOW + 13_200
    assert isinstance(await seen(lab, NOW + 10_300), Tended)


async def test_a_short_silence_that_is_over_before_anybody_looks_restores_leases_too(
    lab: StateLab,
) -> None:
    one = Replica(lab)
    await lab.submit("a", ttl_ms=2_050)
    await go_on(lab, NOW, NOW, one)
    await lab.tend(NOW + 1_900)
    await one.sign_on(NOW + 2_100)
    assert await lab.allocations.expire("a", [], now_ms=NOW + 2_100) is None
    await restored(lab, NOW + 2_100)
    assert await lab.deadline_ms("lease:a") == NOW + 2_100 + 2_050


async def test_who_told_of_a_pause_has_leases_restored_though_it_was_never_missed(
    lab: StateLab,
) -> None:
    """As when the machine of Redis stood still with its clock."""
    one = Replica(lab)
    await go_on(lab, NOW, NOW, one)
    await one.sign_on(NOW + 500, told=True)
    await restored(lab, NOW + 500)
    await one.sign_on(NOW + 900)
    assert isinstance(await seen(lab, NOW + 900), Tended)


async def test_what_was_restored_meanwhile_is_restored_anew(lab: StateLab) -> None:
    one, two = Replica(lab), Replica(lab, "two")
    await lab.submit("a")
    await go_on(lab, NOW, NOW, one, two)
    await one.sign_on(NOW + 100, told=True)
    outcome = await seen(lab, NOW + 100)
    assert isinstance(outcome, Paused)
    await two.sign_on(NOW + 200, told=True)
    assert await lab.care.restore(outcome, back_ms=BACK, now_ms=NOW + 200) == 0
    await restored(lab, NOW + 200)
    assert await lab.deadline_ms("lease:a") == NOW + 200 + TTL


async def test_one_that_stays_silent_is_given_up_and_the_lab_goes_on(lab: StateLab) -> None:
    one = Replica(lab)
    await lab.submit("a")
    await go_on(lab, NOW, NOW, one)
    await go_on(lab, NOW + 500, NOW + LIMIT - 500)
    assert await seen(lab, NOW + LIMIT) == Silent("one", LIMIT, LIMIT)
    assert await seen(lab, NOW + LIMIT + 1) == GivenUp("one", LIMIT + 1)
    await restored(lab, NOW + LIMIT + 2)
    assert await lab.deadline_ms("lease:a") == NOW + LIMIT + 2 + TTL
    assert isinstance(await seen(lab, NOW + LIMIT + 3), Tended)


async def test_an_answer_is_quoted_only_for_a_second(lab: StateLab) -> None:
    one = Replica(lab)
    assert await one.say(NOW) is SigningOn.AGAIN
    assert await lab.link.call("EXISTS", lab.keys.beaters) == 0
    assert await one.say(NOW + 1_000) is SigningOn.ACCEPTED
    assert await one.say(NOW + 2_001) is SigningOn.AGAIN
    assert await one.say(NOW + 2_002) is SigningOn.ACCEPTED


async def test_who_hears_no_answers_is_soon_heard_no_more(lab: StateLab) -> None:
    """Its commands arrive; what it is told gets lost, so it tells holders of a pause."""
    one = Replica(lab)
    await go_on(lab, NOW, NOW, one)
    for now_ms in range(NOW + 500, NOW + 3_001, 500):
        await one.beaters.sign_on(NOW, told=False, now_ms=now_ms)
        await lab.care.tend(now_ms=now_ms)
    # Heard for the last time a second after the answer that it quotes.
    assert await seen(lab, NOW + 3_001) == Silent("one", 2_001, LIMIT)


async def test_two_processes_of_one_name_do_not_stand_for_one_another(lab: StateLab) -> None:
    one, other = Replica(lab), Replica(lab, process="p2")
    await go_on(lab, NOW, NOW, one)
    assert await other.say(NOW + 100) is SigningOn.TAKEN
    assert await other.say(NOW + SILENT_AFTER_MS) is SigningOn.TAKEN
    await other.sign_on(NOW + SILENT_AFTER_MS + 1)
    assert await one.say(NOW + SILENT_AFTER_MS + 2) is SigningOn.TAKEN
    await lab.looked_after(NOW + SILENT_AFTER_MS)
    assert isinstance(await seen(lab, NOW + SILENT_AFTER_MS + 3), Tended)


# Leaving.


async def test_one_of_several_that_leaves_is_not_missed(lab: StateLab) -> None:
    one, two = Replica(lab), Replica(lab, "two")
    await go_on(lab, NOW, NOW, one, two)
    await one.beaters.sign_off(told=False, now_ms=NOW + 100)
    await go_on(lab, NOW + 500, NOW + 5_000, two)
    assert isinstance(await seen(lab, NOW + 5_100), Tended)


async def test_the_last_one_that_leaves_is_missed_until_another_comes(lab: StateLab) -> None:
    one, two = Replica(lab), Replica(lab, "two")
    await lab.submit("a", ttl_ms=4_000)
    await go_on(lab, NOW, NOW, one)
    await one.beaters.sign_off(told=False, now_ms=NOW + 100)
    await go_on(lab, NOW + 500, NOW + 8_000)
    assert isinstance(await seen(lab, NOW + 8_100), Silent)
    await two.sign_on(NOW + 8_200)
    await restored(lab, NOW + 8_300)
    assert await lab.deadline_ms("lease:a") == NOW + 12_300
    assert isinstance(await seen(lab, NOW + 8_400), Tended)


async def test_it_takes_its_place_again_at_once_after_leaving(lab: StateLab) -> None:
    one, again = Replica(lab), Replica(lab, process="p2")
    await go_on(lab, NOW, NOW, one)
    await one.beaters.sign_off(told=False, now_ms=NOW + 100)
    await again.sign_on(NOW + 900)
    assert isinstance(await seen(lab, NOW + 1_000), Tended)
    await unchanged(lab, one.beaters.sign_off(told=False, now_ms=NOW + 1_000))
    assert lab.reply == ["TAKEN"]


async def test_who_told_of_a_pause_and_leaves_has_leases_restored(lab: StateLab) -> None:
    one, two = Replica(lab), Replica(lab, "two")
    await go_on(lab, NOW, NOW, one, two)
    await one.beaters.sign_off(told=True, now_ms=NOW + 100)
    await restored(lab, NOW + 200)


# Clocks that are set, and outages of Redis: how much time has passed, nobody knows.


@pytest.mark.parametrize("step_ms", [HOUR, -HOUR, 3_000, -501])
async def test_after_a_jump_of_the_clock_everybody_has_to_be_heard_first(
    lab: StateLab, step_ms: int
) -> None:
    one = Replica(lab)
    await lab.submit("a")
    await go_on(lab, NOW, NOW, one)
    now_ms = NOW + step_ms
    assert await seen(lab, now_ms) == Silent("one", 2_001, LIMIT)
    await one.sign_on(now_ms + 100)
    await restored(lab, now_ms + 100)
    assert await lab.deadline_ms("lease:a") == now_ms + 100 + TTL


@pytest.mark.parametrize("step_ms", [HOUR, -HOUR])
async def test_a_jump_neither_shortens_nor_lengthens_a_silence(lab: StateLab, step_ms: int) -> None:
    one = Replica(lab)
    await go_on(lab, NOW, NOW, one)
    await go_on(lab, NOW + 500, NOW + 100_000)
    now_ms = NOW + 100_000 + step_ms
    assert await seen(lab, now_ms) == Silent("one", 100_000, LIMIT)
    await go_on(lab, now_ms + 500, now_ms + 50_000)
    assert await lab.care.tend(now_ms=now_ms + 50_001) == GivenUp("one", 150_001)


async def test_an_answer_from_before_a_jump_counts_no_more(lab: StateLab) -> None:
    one = Replica(lab)
    await go_on(lab, NOW, NOW, one)
    assert await one.say(NOW - HOUR) is SigningOn.AGAIN
    assert await one.say(NOW - HOUR + 1) is SigningOn.ACCEPTED
