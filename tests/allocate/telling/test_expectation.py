"""When a request is expected to start: what is known, what is not, and how good the guess is."""

import heapq
import random
from collections.abc import Callable

import pytest

from hwprovisioner.allocate.telling.expectation import Expected, Holder, Releases, rounded

MINUTE_MS = 60_000
NOW_MS = 1_000 * MINUTE_MS


def test_without_past_and_declared_ends_nothing_is_told() -> None:
    assert Releases([Holder(NOW_MS)], [], NOW_MS, 1).nth(1) == Expected()
    assert Releases([], [], NOW_MS, 1).nth(1) == Expected()


def test_declared_ends_alone_tell_as_many_as_there_are() -> None:
    ends = [NOW_MS + 3 * MINUTE_MS, NOW_MS + MINUTE_MS]
    releases = Releases([Holder(0, end) for end in ends], [], NOW_MS, 3)
    assert [releases.nth(n).middle_ms for n in (1, 2, 3)] == [ends[1], ends[0], 0]
    assert releases.nth(1).likely_ms == ends[1]


def test_a_holder_without_a_known_end_is_not_counted_on() -> None:
    releases = Releases([Holder(0), Holder(0, NOW_MS + MINUTE_MS)], [], NOW_MS, 2)
    assert releases.nth(1).middle_ms == NOW_MS + MINUTE_MS
    assert releases.nth(2) == Expected()


def test_what_has_lasted_for_long_is_compared_with_what_lasted_longer() -> None:
    spans = [MINUTE_MS] * 9 + [10 * MINUTE_MS] * 9
    fresh = Releases([Holder(NOW_MS, 0, spans)], spans, NOW_MS, 1).nth(1)
    old = Releases([Holder(NOW_MS - 2 * MINUTE_MS, 0, spans)], spans, NOW_MS, 1).nth(1)
    assert fresh.likely_ms == NOW_MS + 10 * MINUTE_MS
    assert old == Expected(NOW_MS + 8 * MINUTE_MS, NOW_MS + 8 * MINUTE_MS)


def test_whoever_declares_an_end_has_ended_by_then() -> None:
    spans = [10 * MINUTE_MS] * 3
    told = Releases([Holder(NOW_MS, NOW_MS + MINUTE_MS, spans)], spans, NOW_MS, 1).nth(1)
    assert told.likely_ms == NOW_MS + MINUTE_MS


def test_after_all_holders_come_those_that_were_before() -> None:
    spans = [5 * MINUTE_MS] * 3
    holders = [Holder(NOW_MS, 0, spans), Holder(NOW_MS, 0, spans)]
    releases = Releases(holders, spans, NOW_MS, 6)
    waits = [(releases.nth(n).middle_ms - NOW_MS) // MINUTE_MS for n in range(1, 7)]
    assert waits == [5, 5, 10, 10, 15, 15]


def test_far_ahead_as_many_come_in_a_time_as_before() -> None:
    spans = [MINUTE_MS] * 3
    releases = Releases([Holder(NOW_MS, 0, spans)], spans, NOW_MS, 50_000)
    assert releases.nth(50_000).middle_ms == NOW_MS + 50_000 * MINUTE_MS


def test_of_a_sample_of_holders_so_many_more_are_counted_on() -> None:
    spans = [MINUTE_MS] * 3
    holders = [Holder(NOW_MS, 0, spans)] * 10
    assert Releases(holders, spans, NOW_MS, 100, share=0.1).nth(100).middle_ms == NOW_MS + MINUTE_MS


@pytest.mark.parametrize(
    ("ahead_ms", "step_ms"),
    [
        (MINUTE_MS, MINUTE_MS // 2),
        (30 * MINUTE_MS, MINUTE_MS),
        (120 * MINUTE_MS, 5 * MINUTE_MS),
        (5_000 * MINUTE_MS, 60 * MINUTE_MS),
    ],
)
def test_times_are_rounded_up_the_coarser_the_further(ahead_ms: int, step_ms: int) -> None:
    instant = NOW_MS + ahead_ms + 7
    told = rounded(instant, NOW_MS)
    assert told % step_ms == 0
    assert instant <= told < instant + step_ms
    assert rounded(0, NOW_MS) == 0


def exponential(chance: random.Random) -> int:
    return int(chance.expovariate(1 / (10 * MINUTE_MS))) + 1


def uneven(chance: random.Random) -> int:
    return chance.randint(2, 18) * MINUTE_MS + chance.randint(0, MINUTE_MS)


def calibration(
    draw: Callable[[random.Random], int], machines: int, before: int, labs: int = 200
) -> tuple[float, float]:
    """Return the shares of requests that start by the middle and by the likely time.

    Each lab has seen 64 spans, and its machines have been in use for a while.
    """
    by_middle = by_likely = 0
    for seed in range(labs):
        chance = random.Random(seed)
        seen = sorted(draw(chance) for _ in range(64))
        ends, holders = [], []
        for _ in range(machines):
            since, end = 0, draw(chance)
            while end <= NOW_MS:
                since, end = end, end + draw(chance)
            ends.append(end)
            holders.append(Holder(since, 0, seen))
        told = Releases(holders, seen, NOW_MS, before + 1).nth(before + 1)
        heapq.heapify(ends)
        for _ in range(before):
            heapq.heapreplace(ends, ends[0] + draw(chance))
        by_middle += ends[0] <= told.middle_ms
        by_likely += ends[0] <= told.likely_ms
    return by_middle / labs, by_likely / labs


@pytest.mark.parametrize("draw", [exponential, uneven])
@pytest.mark.parametrize(("machines", "before"), [(1, 0), (1, 3), (4, 0), (4, 2), (4, 12), (20, 0)])
def test_half_start_by_the_expected_time_and_most_by_the_likely_one(
    draw: Callable[[random.Random], int], machines: int, before: int
) -> None:
    by_middle, by_likely = calibration(draw, machines, before)
    assert 0.35 <= by_middle <= 0.65
    assert 0.80 <= by_likely <= 0.97


def test_of_fixed_spans_the_expected_time_is_the_time() -> None:
    by_middle, by_likely = calibration(lambda chance: 10 * MINUTE_MS, 4, 6, labs=5)
    assert (by_middle, by_likely) == (1.0, 1.0)
