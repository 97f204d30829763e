"""Whether the clock of Redis was set, or time has passed."""

import pytest

from hwprovisioner.allocate.clock_steps import ClockSteps
from hwprovisioner.state.care import Paused

NOW = 4_000_000_000_000
HOUR = 3_600_000


class Machine:
    def __init__(self) -> None:
        self.s = 1_000.0

    def __call__(self) -> float:
        return self.s


def looked_after() -> tuple[ClockSteps, Machine]:
    machine = Machine()
    steps = ClockSteps(machine)
    steps.tended(NOW)
    return steps, machine


@pytest.mark.parametrize("step_ms", [HOUR, -HOUR, 2_001])
@pytest.mark.parametrize("since", ["", f"!{NOW}"])
def test_a_step_is_what_the_clocks_differ_in(step_ms: int, since: str) -> None:
    steps, machine = looked_after()
    machine.s += 0.5
    assert steps.step_ms(Paused(f"{NOW}{since}", NOW + 500 + step_ms)) == step_ms


def test_an_outage_is_no_step() -> None:
    steps, machine = looked_after()
    machine.s += 3600
    assert steps.step_ms(Paused(f"{NOW}", NOW + HOUR + 1_000)) == 0


def test_who_knows_nothing_and_what_was_done_already_moves_nothing() -> None:
    steps, machine = looked_after()
    machine.s += 0.5
    assert steps.step_ms(Paused(f"0!{NOW + HOUR}", NOW + HOUR)) == 0
    assert steps.step_ms(Paused(f"{NOW + HOUR}", NOW + HOUR)) == 0
    assert ClockSteps(machine).step_ms(Paused(f"{NOW}", NOW + HOUR)) == 0


def test_that_the_clock_was_set_back_needs_nobody_who_was_there() -> None:
    steps = ClockSteps(Machine())
    assert steps.step_ms(Paused(f"{NOW}", NOW - HOUR)) == -HOUR
    assert steps.step_ms(Paused(f"{NOW}", NOW - 2_000)) == 0
    assert steps.step_ms(Paused(f"0!{NOW}", NOW - HOUR)) == 0
