"""Any events in any order, with a decision now and then, against brute force.

HWP_MACHINE=long runs far more; a failure prints the shortest run that fails.
"""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from hwprovisioner.allocate.planning import classes
from support.planning import SmallLab
from support.planning_machine import NAMELESS, SPECS, PlanningMachine

LONG = os.environ.get("HWP_MACHINE") == "long"
SETTINGS = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    print_blob=True,
    derandomize=not LONG,
    max_examples=2_000 if LONG else 150,
    stateful_step_count=50,
)


def test_what_is_decided_step_by_step_is_right_at_each_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Classes are forgotten and their bits used again all the time.
    monkeypatch.setattr(classes, "UNUSED_KEPT", 2)
    run_state_machine_as_test(PlanningMachine, settings=SETTINGS)


@given(
    specs=st.lists(st.sampled_from(SPECS), max_size=5),
    wanted=st.lists(NAMELESS, max_size=5),
    data=st.data(),
)
def test_the_order_in_which_a_planner_is_told_changes_nothing(
    specs: list[object], wanted: list[object], data: st.DataObject
) -> None:
    events = [("machine", number) for number in range(len(specs))]
    events += [("request", number) for number in range(len(wanted))]
    told = [
        _granted(specs, wanted, order) for order in (events, data.draw(st.permutations(events)))
    ]
    assert told[0] == told[1]


def _granted(specs: list[object], wanted: list[object], events: list[tuple[str, int]]) -> object:
    lab = SmallLab()
    for kind, number in events:
        if kind == "machine":
            lab.come(f"r{number}", specs[number])  # type: ignore[arg-type]
        else:
            demand = wanted[number]
            hosts = demand.hosts.values()  # type: ignore[attr-defined]
            relations = demand.relations  # type: ignore[attr-defined]
            lab.ask(f"q{number}", *hosts, relations=relations, turn=number)
    return lab.granted().keys()
