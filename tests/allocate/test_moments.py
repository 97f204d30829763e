"""When it is what time at Redis: never reckoned early, and as late as the fastest answer was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.moments import Moments

APART_S = 1_700_000_000.25
"""Redis' clock is ahead of this one by so much."""
ANSWERS = st.lists(
    st.tuples(st.integers(0, 1_900_000), st.integers(0, 30_000)), min_size=1, max_size=60
)
"""When Redis answers within two seconds, and how long until that is here; in us."""


@given(ANSWERS)
def test_a_moment_is_late_by_no_more_than_the_fastest_answer_took(
    answers: list[tuple[int, int]],
) -> None:
    moments = Moments()
    lates_s = []
    for said_us, took_us in sorted(answers, key=sum):
        redis_ms = int((said_us / 1e6 + APART_S) * 1000)
        moments.heard(redis_ms, (said_us + took_us) / 1e6)
        # The part of a ms that an answer does not say counts as time it took.
        lates_s.append((said_us + took_us) / 1e6 + APART_S - redis_ms / 1000)
    redis_ms = int(APART_S * 1000) + 5_000
    late_s = moments.at_s(redis_ms) - (redis_ms / 1000 - APART_S)
    assert late_s == pytest.approx(min(lates_s), abs=1e-5)
    assert late_s > -1e-5


def test_a_clock_that_was_set_is_followed() -> None:
    moments = Moments()
    moments.heard(1_000_000, 10.0)
    assert moments.at_s(1_000_500) == pytest.approx(10.5)
    moments.heard(1_061_000, 11.0)
    assert moments.at_s(1_061_500) == pytest.approx(11.5)
    moments.heard(1_000_000, 13.5)
    assert moments.at_s(1_000_500) == pytest.approx(14.0)
