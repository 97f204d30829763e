from hwprovisioner.allocate.simulate.events import Day
from hwprovisioner.allocate.simulate.scenario_file import parse_scenario
from hwprovisioner.allocate.simulate.trace import Run, Trace
from hwprovisioner.allocate.simulate.workload import jobs_of

MINUTE_MS = 60_000


def run(text: str, *, backfill: bool = True) -> Trace:
    scenario = parse_scenario(text)
    return Day(scenario, jobs_of(scenario, 1), backfill=backfill).run()


def starts(trace: Trace) -> dict[str, float | None]:
    """By request, the minute of its start."""

    def minute(run: Run) -> float | None:
        return None if run.start_ms is None else run.start_ms / MINUTE_MS

    return {name: minute(run) for name, run in trace.runs.items()}


def test_a_machine_is_free_again_when_it_is_clean() -> None:
    trace = run("""
        duration: 1h
        resources: {m: {cpu: 8, prepare: 2m, clean: 3m}}
        streams: {s: {demands: {}, arrivals: {at: [00:00, 00:01]}, duration: 10m}}
    """)
    assert starts(trace) == {"s-1": 0, "s-2": 15}
    assert trace.runs["s-1"].end_ms == 12 * MINUTE_MS


def test_what_still_waits_at_the_end_has_not_started() -> None:
    trace = run("""
        duration: 30m
        resources: {m: {cpu: 8}}
        streams: {s: {demands: {}, arrivals: {burst: {at: 00:00, count: 2}}, duration: 40m}}
    """)
    assert starts(trace) == {"s-1": 0, "s-2": None}
    assert trace.runs["s-2"].waited_ms(30 * MINUTE_MS) == 30 * MINUTE_MS


def test_a_shared_machine_holds_as_much_as_fits() -> None:
    trace = run("""
        duration: 1h
        resources: {h: {limits: {cpu: 8, instances: 10}}}
        streams: {s: {demands: {cpus: 3}, arrivals: {burst: {at: 00:00, count: 4}}, duration: 10m}}
    """)
    assert list(starts(trace).values()) == [0, 0, 10, 10]


def test_a_set_waits_for_all_and_lends_what_it_keeps() -> None:
    text = """
        duration: 2h
        resources: {m: {count: 2, cpu: 8}}
        streams:
          long: {demands: {}, arrivals: {at: 00:00}, duration: 30m, max_duration: exact}
          pair: {demands: {n: {count: 2}}, arrivals: {at: 00:01}, duration: 10m}
          short: {demands: {}, arrivals: {at: 00:02}, duration: 20m, max_duration: exact}
          other: {demands: {}, arrivals: {at: 00:03}, duration: 20m}
    """
    trace = run(text)
    assert starts(trace) == {"long-1": 0, "pair-1": 30, "short-1": 2, "other-1": 40}
    [loan] = trace.loans
    assert (loan.keeper, loan.borrower, loan.promised_ms) == ("pair-1", "short-1", 30 * MINUTE_MS)
    assert trace.promises == {"pair-1": 30 * MINUTE_MS}
    without = run(text, backfill=False)
    assert starts(without)["short-1"] == 40
    assert without.loans == []


def test_a_quota_is_looked_at_again_when_something_of_it_is_free() -> None:
    trace = run("""
        duration: 1h
        resources: {m: {count: 3, cpu: 8}}
        streams: {s: {demands: {}, arrivals: {burst: {at: 00:00, count: 3}}, duration: 10m}}
        policy: {defaults: {quota: {allocations: 1}}}
    """)
    assert list(starts(trace).values()) == [0, 10, 20]


def test_priority_and_then_the_smaller_share_go_first() -> None:
    trace = run("""
        duration: 2h
        resources: {m: {cpu: 8}}
        streams:
          a: {demands: {}, arrivals: {burst: {at: 00:00, count: 3}}, duration: 10m}
          b: {demands: {}, arrivals: {at: 00:01}, duration: 10m}
          c: {demands: {}, arrivals: {at: 00:02}, duration: 10m, priority: 5}
    """)
    assert starts(trace) == {"a-1": 0, "c-1": 10, "b-1": 20, "a-2": 30, "a-3": 40}


def test_what_could_never_be_is_told_by_stream() -> None:
    scenario = parse_scenario("""
        resources: {m: {cpu: 8}}
        streams:
          big: {demands: {cpus: 9}, arrivals: {at: 00:00}, duration: 1m}
          many: {demands: {cpus: 8}, arrivals: {at: 00:00}, duration: 1m}
          fine: {demands: {cpus: 1}, arrivals: {at: 00:00}, duration: 1m}
        policy: {users: {many: {quota: {cpus: 4}}}}
    """)
    never = Day(scenario, [], backfill=True).never()
    assert sorted(never) == ["big", "many"]
    assert "the quota of many is 4" in never["many"]
