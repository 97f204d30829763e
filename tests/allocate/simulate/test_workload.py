from hwprovisioner.allocate.simulate.scenario import Scenario
from hwprovisioner.allocate.simulate.scenario_file import parse_scenario
from hwprovisioner.allocate.simulate.workload import jobs_of

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


def scenario(arrivals: str, duration: str = "1m", more: str = "") -> Scenario:
    return parse_scenario(
        "resources: {m: {cpu: 8, prepare: 10s}}\n"
        f"streams: {{s: {{demands: {{}}, arrivals: {arrivals}, duration: {duration}{more}}}}}\n"
    )


def test_equal_seeds_give_equal_days_and_others_do_not() -> None:
    day = scenario("{poisson: 20/h}", "{exponential: 5m}")
    assert jobs_of(day, 1) == jobs_of(day, 1)
    assert [job.submit_ms for job in jobs_of(day, 1)] != [job.submit_ms for job in jobs_of(day, 2)]


def test_arrivals_come_when_they_are_said_to() -> None:
    def moments(arrivals: str) -> list[int]:
        return [job.submit_ms // MINUTE_MS for job in jobs_of(scenario(arrivals), 1)]

    assert moments("{every: 6h, from: 01:00}") == [60, 420, 780, 1140]
    assert moments("{every: 1h, count: 2}") == [0, 60]
    assert moments("{at: [09:30, 90m]}") == [90, 570]
    assert moments("{burst: {at: [01:00, 02:00], count: 2}}") == [60, 60, 120, 120]


def test_random_arrivals_come_as_often_as_they_are_said_to() -> None:
    jobs = jobs_of(scenario("{poisson: 100/h, from: 06:00, until: 18:00}"), 1)
    assert 1080 < len(jobs) < 1320
    assert all(6 * HOUR_MS <= job.submit_ms < 18 * HOUR_MS for job in jobs)


def test_durations_follow_their_law() -> None:
    def lasting(duration: str) -> list[int]:
        day = scenario("{every: 1m}", duration)
        return sorted(job.lasts_ms for job in jobs_of(day, 1))

    uniform = lasting("{uniform: [5m, 20m]}")
    assert 5 * MINUTE_MS <= uniform[0] < 6 * MINUTE_MS
    assert 19 * MINUTE_MS < uniform[-1] <= 20 * MINUTE_MS
    exponential = lasting("{exponential: 10m}")
    assert 9 * MINUTE_MS < sum(exponential) / len(exponential) < 11 * MINUTE_MS
    lognormal = lasting("{lognormal: [10m, 1.0], most: 1h}")
    assert 9 * MINUTE_MS < lognormal[len(lognormal) // 2] < 11 * MINUTE_MS
    assert lognormal[-1] == HOUR_MS


def test_what_is_declared_ends_an_allocation() -> None:
    [job] = jobs_of(scenario("{at: 00:00}", "30m", ", max_duration: 10m"), 1)
    assert job.held_ms(prepare_ms=10_000) == 10 * MINUTE_MS
    [exact] = jobs_of(scenario("{at: 00:00}", "30m", ", max_duration: exact"), 1)
    assert exact.held_ms(prepare_ms=10_000) == exact.max_ms == 30 * MINUTE_MS + 10_000
    [free] = jobs_of(scenario("{at: 00:00}", "30m"), 1)
    assert (free.max_ms, free.held_ms(prepare_ms=0)) == (0, 30 * MINUTE_MS)
