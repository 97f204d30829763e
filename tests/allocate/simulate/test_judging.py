from dataclasses import replace

import pytest

from hwprovisioner.allocate.planning.deciding import Pass
from hwprovisioner.allocate.planning.keeping import Keeper
from hwprovisioner.allocate.simulate import packing
from hwprovisioner.allocate.simulate.events import Day
from hwprovisioner.allocate.simulate.fairness import shares_of
from hwprovisioner.allocate.simulate.judging import backfill, busy_ms, starvation, utilisation
from hwprovisioner.allocate.simulate.scenario import Scenario
from hwprovisioner.allocate.simulate.scenario_file import parse_scenario
from hwprovisioner.allocate.simulate.trace import Trace
from hwprovisioner.allocate.simulate.workload import jobs_of

HOUR_MS = 3_600_000
SMALL_AGAINST_A_SET = """
    duration: 4h
    resources: {m: {count: 4, cpu: 8}}
    streams:
      small: {demands: {}, arrivals: {every: 1m}, duration: {uniform: [3m, 7m]}}
      big: {demands: {n: {count: 3}}, arrivals: {at: 01:00}, duration: 20m}
"""
LENDING = """
    duration: 4h
    resources: {m: {count: 2, cpu: 8}}
    streams:
      long: {demands: {}, arrivals: {at: 00:00}, duration: 30m, max_duration: exact}
      pair: {demands: {n: {count: 2}}, arrivals: {at: 00:01}, duration: 10m}
      short: {demands: {}, arrivals: {at: 00:02}, duration: 50m, max_duration: exact}
"""


def run(text: str) -> tuple[Scenario, Trace]:
    scenario = parse_scenario(text)
    return scenario, Day(scenario, jobs_of(scenario, 1), backfill=True).run()


def test_nobody_starves_while_sets_keep_what_they_could_have() -> None:
    scenario, trace = run(SMALL_AGAINST_A_SET)
    found = starvation(trace, scenario.duration_ms)
    assert found.holds
    assert (found.most_passed_over, found.out_of_turn) == (0, 0)
    assert trace.runs["big-1"].start_ms is not None


def test_a_set_that_keeps_nothing_is_seen_to_starve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pass, "_keep", lambda self, request, wish, placement: None)
    scenario, trace = run(SMALL_AGAINST_A_SET)
    found = starvation(trace, scenario.duration_ms)
    assert not found.holds
    assert found.passed_over == "big-1"
    assert found.most_passed_over > 10


def test_a_grant_before_an_earlier_request_of_the_same_user_is_out_of_turn() -> None:
    scenario, trace = run(SMALL_AGAINST_A_SET)
    first, second = trace.runs["small-50"], trace.runs["small-51"]
    first.start_ms, second.start_ms = (second.start_ms or 0) + 1, second.start_ms
    assert starvation(trace, scenario.duration_ms).out_of_turn >= 1


def test_no_loan_beyond_the_promise_is_made() -> None:
    _, trace = run(LENDING)
    assert trace.loans == []
    assert backfill(trace, trace).holds
    assert trace.runs["pair-1"].start_ms == HOUR_MS // 2


def test_a_loan_beyond_the_promise_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    lends_until = Keeper.lends_until
    monkeypatch.setattr(Keeper, "lends_until", lambda self, now: lends_until(self, now) and 1 << 60)
    _, trace = run(LENDING)
    found = backfill(trace, trace)
    assert [(each.request, each.borrower) for each in found.delayed] == [("pair-1", "short-1")]
    assert not found.holds


@pytest.mark.parametrize(("holder_clean", "is_delayed"), [("0s", True), ("10m", False)])
def test_who_would_have_waited_anyway_is_not_delayed(
    monkeypatch: pytest.MonkeyPatch, holder_clean: str, is_delayed: bool
) -> None:
    lends_until = Keeper.lends_until
    monkeypatch.setattr(Keeper, "lends_until", lambda self, now: lends_until(self, now) and 1 << 60)
    _, trace = run(f"""
        duration: 2h
        resources: {{a: {{cpu: 16, clean: {holder_clean}}}, b: {{cpu: 8, clean: 10m}}}}
        streams:
          long: {{demands: {{cpus: 16}}, arrivals: {{at: 0m}}, duration: 30m, max_duration: exact}}
          pair: {{demands: {{n: {{count: 2}}}}, arrivals: {{at: 00:01}}, duration: 10m}}
          short: {{demands: {{}}, arrivals: {{at: 00:02}}, duration: 28m, max_duration: exact}}
    """)
    assert trace.runs["pair-1"].start_ms == 40 * HOUR_MS // 60
    assert bool(backfill(trace, trace).delayed) is is_delayed


def test_a_set_later_than_without_backfill_is_reported() -> None:
    _, trace = run(LENDING)
    _, other = run(LENDING)
    pair = trace.runs["pair-1"]
    trace.runs["pair-1"] = replace(pair, start_ms=(pair.start_ms or 0) + 5)
    assert backfill(trace, other).later == {"pair-1": 5}
    assert backfill(other, trace).sooner == 1


def two_users(second: str, policy: str = "") -> tuple[Scenario, Trace]:
    return run(f"""
        duration: 12h
        resources: {{m: {{count: 6, cpu: 8}}, gpu: {{count: 2, gpus: [{{model: x}}]}}}}
        streams:
          a: {{demands: {{cpus: 8}}, arrivals: {{every: 1m}}, duration: {{uniform: [5m, 15m]}}}}
          b: {{demands: {second}, arrivals: {{every: 1m}}, duration: {{uniform: [15m, 25m]}}}}
        {policy}
    """)


def test_users_in_need_are_due_what_their_weights_say() -> None:
    scenario, trace = two_users("{cpus: 8}", "policy: {users: {b: {weight: 2}}}")
    shares = shares_of(scenario, trace)
    a, b = shares.users["a"], shares.users["b"]
    assert b.due_ms == pytest.approx(2 * a.due_ms, rel=0.01)
    assert shares.shared_ms > 10 * HOUR_MS
    assert a.is_judged
    assert b.is_judged
    assert shares.worst < 0.1


def test_what_only_one_can_use_is_not_shared() -> None:
    scenario, trace = two_users("{gpus: 1}")
    shares = shares_of(scenario, trace)
    assert shares.users["a"].due_ms == pytest.approx(3 * shares.users["b"].due_ms, rel=0.05)
    assert shares.worst < 0.05


def test_somebody_who_is_given_too_little_is_seen() -> None:
    scenario, trace = two_users("{cpus: 8}", "policy: {users: {b: {weight: 4}}}")
    policy = replace(scenario.policy, users={})
    shares = shares_of(replace(scenario, policy=policy), trace)
    assert shares.users["a"].off < -0.4
    assert shares.worst > 0.4


def test_nothing_passes_the_bound_and_the_packing_is_full_where_it_can_be() -> None:
    scenario, trace = two_users("{cpus: 8}")
    found = utilisation(scenario, trace)
    assert found.busy_ms == busy_ms(trace, scenario.duration_ms) <= found.most_ms
    assert found.packed_ms <= found.most_ms <= found.there_ms
    assert found.packed_ms > 0.99 * found.most_ms
    assert found.holds


def test_the_packing_starts_sets_whole_and_shares_machines() -> None:
    scenario = parse_scenario("""
        duration: 1h
        resources: {m: {count: 2, cpu: 8}, h: {limits: {cpu: 4, instances: 4}}}
        streams:
          pair:
            {demands: {n: {kind: physical, count: 2}}, arrivals: {at: 00:00}, duration: 30m}
          one: {demands: {kind: vm, cpus: 1}, arrivals: {at: 00:00}, duration: 20m}
    """)
    jobs = jobs_of(scenario, 1)
    assert packing.best_packing(scenario, jobs).busy_ms == HOUR_MS + HOUR_MS / 12
    assert packing.most_busy_ms(scenario, jobs) == HOUR_MS + HOUR_MS / 12


def test_a_day_with_machines_left_idle_falls_short() -> None:
    scenario, trace = two_users("{cpus: 8}")
    for run in list(trace.runs.values())[::5]:
        run.hosts = ()
    assert not utilisation(scenario, trace).holds


def test_where_sets_follow_one_another_few_machines_stand_idle() -> None:
    scenario, trace = run(
        """
        duration: 12h
        resources: {m: {count: 12, cpu: 8}}
        streams:
          sets: {demands: {n: {count: 4}}, arrivals: {every: 8m}, duration: {uniform: [20m, 40m]}}
          singles: {demands: {}, arrivals: {every: 2m}, duration: {uniform: [10m, 30m]}}
        """
    )
    assert utilisation(scenario, trace).holds  # 18 % below when each set gathered at once.
    assert starvation(trace, scenario.duration_ms).holds
    assert shares_of(scenario, trace).worst < 0.05


def test_gusts_bring_nobody_more_than_their_share() -> None:
    scenario, trace = run(
        """
        duration: 12h
        resources: {m: {count: 12, cpu: 8}}
        streams:
          sets: {demands: {n: {count: 4}}, arrivals: {every: 15m}, duration: {uniform: [20m, 40m]}}
          one: {demands: {}, arrivals: {every: 4m}, duration: {uniform: [10m, 30m]}}
          two: {demands: {}, arrivals: {every: 4m}, duration: {uniform: [10m, 30m]}}
          three: {demands: {}, arrivals: {every: 4m}, duration: {uniform: [10m, 30m]}}
        """
    )
    assert shares_of(scenario, trace).worst < 0.1  # A third, when only what is held now counted.
