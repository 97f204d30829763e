"""Moments as people write and read them."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from hwprovisioner.client import BadDemand
from hwprovisioner.client.moments import show, to_datetime
from hwprovisioner.client.updates import Phase, Update

NOON = datetime(2026, 5, 1, 12, 0).astimezone()
"""Of this machine, wherever it is."""


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("14:00", datetime(2026, 5, 1, 14, 0)),
        ("12:01", datetime(2026, 5, 1, 12, 1)),
        ("12:00", datetime(2026, 5, 2, 12, 0)),
        ("9:30", datetime(2026, 5, 2, 9, 30)),
        ("2026-06-01T08:00", datetime(2026, 6, 1, 8, 0)),
        (" 2026-06-01 08:00:30 ", datetime(2026, 6, 1, 8, 0, 30)),
        ("2026-06-01T08:00Z", datetime(2026, 6, 1, 8, 0, tzinfo=UTC)),
        ("2026-06-01T08:00+05:00", datetime(2026, 6, 1, 3, 0, tzinfo=UTC)),
        ("+2h", datetime(2026, 5, 1, 14, 0)),
        ("+1d30m", datetime(2026, 5, 2, 12, 30)),
        (datetime(2026, 6, 1, 8, 0), datetime(2026, 6, 1, 8, 0)),
        (datetime(2026, 6, 1, 8, 0, tzinfo=UTC), datetime(2026, 6, 1, 8, 0, tzinfo=UTC)),
    ],
)
def test_moments_are_written_in_several_ways(written: Any, moment: datetime) -> None:
    found = to_datetime(written, "start", NOON)
    assert found == moment.astimezone()
    assert found.tzinfo is not None


@pytest.mark.parametrize(
    "written", ["", "soon", "25:00", "12:60", "2026-06-01", "20260601", "14", "tomorrow", 4, None]
)
def test_what_is_no_moment_is_refused_by_name(written: Any) -> None:
    with pytest.raises(BadDemand, match=r"^start: .*14:00.*2026-05-01T14:00.*\+2h"):
        to_datetime(written, "start", NOON)


@pytest.mark.parametrize("written", ["+", "+0", "+-2h", "+soon"])
def test_a_span_that_is_none_is_refused_as_spans_are(written: str) -> None:
    with pytest.raises(BadDemand, match=r"^start: .*no span of time above zero"):
        to_datetime(written, "start", NOON)


def test_moments_are_shown_in_the_zone_of_now_with_the_date_on_another_day() -> None:
    now = datetime(2026, 5, 1, 23, 0, tzinfo=timezone(timedelta(hours=2)))
    assert show(datetime(2026, 5, 1, 21, 5, tzinfo=UTC), now) == "23:05"
    assert show(datetime(2026, 5, 1, 22, 5, tzinfo=UTC), now) == "2026-05-02 00:05"


def test_a_wait_says_when_it_is_expected_to_end() -> None:
    far = datetime(2126, 5, 1, 14, 5).astimezone()
    later = far + timedelta(minutes=35)
    queued = Update(Phase.QUEUED, "a-1", 0.0, place=3, message="edge: in use")
    assert queued.line == "queued at place 3: edge: in use"
    likely = Update(Phase.QUEUED, "a-1", 0.0, place=3, expected=far, likely=later)
    assert likely.line == "queued at place 3, expected 2126-05-01 14:05 (90 % by 2126-05-01 14:40)"
    expected = Update(Phase.QUEUED, "a-1", 0.0, place=3, expected=far, message="in use")
    assert expected.line == "queued at place 3, expected 2126-05-01 14:05: in use"
    assert Update(Phase.BOOKED, "a-1", 0.0, expected=far).line == "booked from 2126-05-01 14:05"
    assert Update(Phase.BOOKED, "a-1", 0.0).line == "booked"
