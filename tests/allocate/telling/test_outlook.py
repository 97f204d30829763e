"""What queued requests are told, from the records of a lab and its past."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from hwprovisioner.allocate.planning.order import Queue
from hwprovisioner.allocate.policy import Policy, Preemption, Quota, UserPolicy
from hwprovisioner.allocate.set_demands import class_id
from hwprovisioner.allocate.telling import outlook as module
from hwprovisioner.allocate.telling.expectation import Expected
from hwprovisioner.allocate.telling.kept import REST, Kept
from hwprovisioner.allocate.telling.wait_times import WaitTimes
from hwprovisioner.serving import Refused
from hwprovisioner.v1 import allocate_service_pb2 as pb
from support.told_lab import MINUTE_MS, NOW_MS, ONE, PAIR, Records, always_new


@pytest.fixture
def records() -> Records:
    return Records()


def test_a_declared_end_tells_when_the_next_is_free(records: Records) -> None:
    records.holder("running", 4, max_ms=10 * MINUTE_MS)
    records.machine("r", "running")
    records.queue("waiting")
    assert records.reason("waiting") == (
        "h: 1 resource matches: 1 in use, next expected free in about 6 min"
    )
    assert records.minutes("waiting") == (6, 6)


def test_without_a_past_only_as_much_is_told_as_was_declared(records: Records) -> None:
    records.holder("running", 4, max_ms=10 * MINUTE_MS)
    records.machine("r", "running")
    records.queue("first")
    records.queue("second")
    assert records.minutes("second") == (0, 0)
    assert records.reason("second").endswith("; 1 request is before it for the same")


def test_the_past_of_what_runs_and_of_what_is_before_tells_when_it_starts(
    records: Records,
) -> None:
    records.lab.past.spans = {
        class_id(ONE): (10 * MINUTE_MS,) * 3,
        "runs": (20 * MINUTE_MS,) * 3,
    }
    records.holder("running", 5, class_id="runs")
    records.machine("r", "running")
    for name in ("first", "second", "third"):
        records.queue(name)
    waits = [records.minutes(name)[0] for name in ("first", "second", "third")]
    assert waits == [15, 25, 35]


def test_a_class_with_too_little_past_goes_by_all_of_them(records: Records) -> None:
    records.lab.past.spans = {"one": (8 * MINUTE_MS,) * 2, "two": (8 * MINUTE_MS,)}
    records.holder("running", 0, class_id="one")
    records.machine("r", "running")
    records.queue("waiting")
    assert records.minutes("waiting") == (8, 8)


def test_a_set_waits_for_as_many_as_it_lacks(records: Records) -> None:
    records.lab.past.spans = {"runs": (20 * MINUTE_MS,) * 3}
    for number, minutes in enumerate((10, 15)):
        records.holder(f"running{number}", minutes, class_id="runs")
        records.machine(f"r{number}", f"running{number}")
    records.queue("set", PAIR)
    assert records.minutes("set") == (10, 10)
    records.machine("free")
    assert records.minutes("set") == (5, 5)


def test_of_many_that_are_in_use_some_stand_for_all(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HOLDERS", 5)
    records.lab.past.spans = {"runs": (20 * MINUTE_MS,) * 3}
    for number in range(20):
        records.holder(f"running{number}", number, class_id="runs")
        records.machine(f"r{number}", f"running{number}")
    for number in range(9):
        records.queue(f"waiting{number}")
    # The first five, that have lasted for up to 4 minutes, are a quarter of all.
    assert [records.minutes(f"waiting{number}")[0] for number in (0, 3, 4, 8)] == [16, 16, 17, 18]


def test_what_is_cleaned_is_expected_soon(records: Records) -> None:
    records.machine("r", "gone")
    records.change("hold", "r.1", state="CLEANING")
    records.queue("waiting")
    assert 0 < records.minutes("waiting")[1] <= 0.5


def test_what_nobody_knows_is_not_told(records: Records) -> None:
    records.holder("running", 5)
    records.machine("r", "running")
    records.queue("waiting")
    assert records.minutes("waiting") == (0, 0)
    assert records.reason("waiting") == "h: 1 resource matches: 1 in use"


def test_what_somebody_has_to_act_for_is_not_expected_at_any_time(records: Records) -> None:
    records.holder("running", 4, max_ms=10 * MINUTE_MS)
    records.machine("r", "running", admin="DRAINING", admin_reason="new disk")
    records.queue("waiting")
    assert records.minutes("waiting") == (0, 0)
    assert records.reason("waiting") == "h: 1 resource matches: draining: new disk"


def test_over_quota_comes_before_all_else() -> None:
    records = Records(Policy(everyone=UserPolicy(quota=Quota(cpus=4))))
    records.holder("running", 4, max_ms=10 * MINUTE_MS, user="ann")
    records.machine("r", "running")
    records.queue("waiting", user="ann")
    assert records.reason("waiting") == "over quota: cpus: 4 of 4 in use, wants 4 more"
    assert records.minutes("waiting") == (0, 0)


def test_what_is_more_than_the_least_may_be_over_quota() -> None:
    records = Records(Policy(everyone=UserPolicy(quota=Quota(cpus=4))))
    records.holder("running", 4, user="ann")
    records.machine("r", "running")
    records.machine("free")
    records.queue("waiting", json.dumps({"hosts": {"h": {}}}), user="ann")
    assert records.reason("waiting") == "over quota: cpus: 4 of 4 in use, wants 4 more"


def test_who_gives_way_is_counted() -> None:
    records = Records(Policy(preemption=Preemption(gap=1, grace_ms=MINUTE_MS)))
    giving_way = {"preempt_ms": NOW_MS + MINUTE_MS, "preempted_for": "waiting"}
    records.holder("running", 4, **giving_way)
    records.machine("r", "running")
    records.queue("waiting", priority=9)
    assert records.reason("waiting").startswith(
        "pre-empting: 1 allocation gives way in about 1 min; h: 1 resource matches: 1 in use"
    )
    assert records.minutes("waiting") == (1, 1)


def test_a_failure_of_before_is_told(records: Records) -> None:
    records.machine("r")
    records.queue("waiting")
    assert records.reason("waiting", "no power") == "its turn (before: no power)"


def test_each_change_is_seen(records: Records) -> None:
    records.holder("running", 4)
    records.machine("r", "running")
    records.queue("waiting")
    assert "1 in use" in records.reason("waiting")
    records.machine("r", "running", health="QUARANTINED")
    assert "1 quarantined" in records.reason("waiting")


def test_what_was_cheap_is_worked_out_anew_with_each_version() -> None:
    kept = always_new()
    made = iter("abc")
    assert [kept.get("key", version, made.__next__) for version in (1, 1, 2)] == ["a", "a", "b"]
    assert not kept.is_old


def test_what_took_long_is_kept_for_so_many_times_as_long() -> None:
    now = 0.0

    def make() -> float:
        nonlocal now
        now += 1.0
        return now

    kept = Kept(lambda: now, lambda: now)
    assert kept.get("key", 1, make) == 1.0
    now += REST - 1
    assert (kept.get("key", 2, make), kept.is_old) == (1.0, True)
    kept.is_old = False
    now += 1
    assert (kept.get("key", 2, make), kept.is_old) == (now, False)


def test_what_may_be_older_is_kept_for_longer() -> None:
    now = 0.0

    def make() -> float:
        nonlocal now
        now += 1.0
        return now

    kept = Kept(lambda: now, lambda: now)
    assert kept.get("key", 1, make, rest=100) == 1.0
    now += 99
    assert (kept.get("key", 2, make, rest=100), kept.is_old) == (1.0, True)
    now += 1
    assert kept.get("key", 2, make, rest=100) == now


def test_what_one_of_many_is_told_costs_nothing_by_how_many_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Queue, "in_order", None)
    records = Records()
    records.holder("running", 4, max_ms=10 * MINUTE_MS)
    records.machine("r", "running")
    for number in range(100):
        records.queue(f"{number}", user=f"user {number % 2}")
    assert records.reason("99").endswith("; 99 requests are before it for the same")


def times(records: Records, **fields: Any) -> pb.ListWaitTimesResponse:
    return WaitTimes(records.view, records.lab).listed(pb.ListWaitTimesRequest(**fields))


def test_wait_times_are_told_of_each_class_with_a_past_or_a_queue(records: Records) -> None:
    records.queue("waiting")
    records.queue("other", PAIR)
    records.change("allocation", "other", state="ENDED")
    past: Mapping[str, tuple[int, ...]] = {class_id(ONE): (*range(1000, 11_000, 1000),)}
    records.lab.past.waits = dict(past)
    records.lab.past.spans = {"forgotten": (7,)}
    found = {each.class_id: each for each in times(records).classes}
    assert set(found) == {class_id(ONE), "forgotten"}
    one, forgotten = found[class_id(ONE)], found["forgotten"]
    assert (one.queued_count, one.granted_count) == (1, 10)
    assert one.demands.hosts["h"].cpus == "4"
    assert (one.median_wait.ToMilliseconds(), one.likely_wait.ToMilliseconds()) == (5000, 9000)
    assert not one.HasField("median_span")
    assert not forgotten.HasField("demands")
    assert forgotten.median_span.ToMilliseconds() == forgotten.likely_span.ToMilliseconds() == 7


def test_wait_times_come_in_pages(records: Records) -> None:
    records.lab.past.waits = {name: (1,) for name in "cab"}
    first = times(records, page_size=2)
    assert [each.class_id for each in first.classes] == ["a", "b"]
    rest = times(records, page_size=2, page_token=first.next_page_token)
    assert ([each.class_id for each in rest.classes], rest.next_page_token) == (["c"], "")
    with pytest.raises(Refused):
        times(records, page_size=-1)


def test_nothing_is_expected_of_nothing(records: Records) -> None:
    records.queue("waiting")
    request = records.lab.planner.queue.requests["waiting"]
    assert records.outlook.expected(request) == Expected()
