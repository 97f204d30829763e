"""What counts of the past, by hour and as it happened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.planning.fair_share import (
    FORGOTTEN_AFTER,
    HOUR_MS,
    add_use,
    average_held,
    average_of_running,
    oldest_hour,
)

HALF_LIFE_MS = 24 * HOUR_MS
NOW_MS = 1_000 * HOUR_MS
SPANS = st.tuples(st.integers(0, 200 * HOUR_MS), st.integers(0, 20 * HOUR_MS)).map(
    lambda drawn: (NOW_MS - drawn[0] - drawn[1], NOW_MS - drawn[0])
)


def test_one_host_held_for_ever_counts_as_one() -> None:
    assert average_of_running([(1, 0)], HALF_LIFE_MS, NOW_MS) == pytest.approx(1)
    assert average_held(dict.fromkeys(range(1_000), HOUR_MS), HALF_LIFE_MS, NOW_MS) == (
        pytest.approx(1)
    )


def test_use_counts_half_after_a_half_life() -> None:
    hours: dict[int, int] = {}
    add_use(hours, 3, NOW_MS - 5 * HOUR_MS, NOW_MS)
    before = average_held(hours, HALF_LIFE_MS, NOW_MS)
    after = average_held(hours, HALF_LIFE_MS, NOW_MS + HALF_LIFE_MS)
    assert after == pytest.approx(before / 2)


def test_what_only_begins_counts_nothing() -> None:
    assert average_of_running([(4, NOW_MS), (4, NOW_MS + 1)], HALF_LIFE_MS, NOW_MS) == 0
    assert average_held({NOW_MS // HOUR_MS: 5}, HALF_LIFE_MS, NOW_MS) == 0


def test_what_is_forgotten_counts_for_less_than_a_thousandth() -> None:
    oldest = oldest_hour(HALF_LIFE_MS, NOW_MS)
    assert oldest == 1_000 - FORGOTTEN_AFTER * 24
    older = dict.fromkeys(range(oldest), HOUR_MS)
    assert average_held(older, HALF_LIFE_MS, NOW_MS) < 0.001


@given(spans=st.lists(st.tuples(st.integers(1, 5), SPANS), max_size=5), data=st.data())
def test_all_use_is_counted_whatever_the_order(
    spans: list[tuple[int, tuple[int, int]]], data: st.DataObject
) -> None:
    hours: dict[int, int] = {}
    shuffled: dict[int, int] = {}
    for hosts, span in spans:
        add_use(hours, hosts, *span)
    for hosts, span in data.draw(st.permutations(spans)):
        add_use(shuffled, hosts, *span)
    assert hours == shuffled
    assert sum(hours.values()) == sum(hosts * (end - start) for hosts, (start, end) in spans)


@given(hosts=st.integers(1, 5), span=SPANS)
def test_use_that_was_counted_by_hour_counts_nearly_as_when_it_was_held(
    hosts: int, span: tuple[int, int]
) -> None:
    """Within an hour's worth: an hour's use is taken to be spread over all of it."""
    hours: dict[int, int] = {}
    add_use(hours, hosts, *span)
    since_ms, until_ms = span
    exact = average_of_running([(hosts, since_ms)], HALF_LIFE_MS, NOW_MS)
    exact -= average_of_running([(hosts, until_ms)], HALF_LIFE_MS, NOW_MS)
    assert average_held(hours, HALF_LIFE_MS, NOW_MS) == pytest.approx(exact, rel=0.03, abs=1e-9)
