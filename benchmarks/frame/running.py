"""Runs cases, one after the other, and judges them."""

import os
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.frame.case import Case, Effort, NotMeasured, Wanted
from benchmarks.frame.rounds import Round, rounds
from benchmarks.frame.stage import Stage
from benchmarks.frame.verdict import Figure, Verdict, judge


@dataclass(frozen=True)
class Ran:
    """What came of a case."""

    case: Case
    figures: Sequence[Figure]
    rounds: Sequence[Round]
    seconds: float


def run(case: Case, effort: Effort) -> Ran:
    """Measure a case. Whatever goes wrong is told as 'not measured'; Ctrl-C ends everything."""
    began = time.monotonic()
    wanted = _wanted(case, effort)
    effort = replace(effort, rounds=min(effort.rounds, case.rounds or effort.rounds))
    found: list[Round] = []
    if missing := [what for need in case.needs if (what := need.missing())]:
        figures = _none(wanted, "; ".join(missing))
    else:
        figures = _measured(case, wanted, effort, found)
    return Ran(case, figures, found, time.monotonic() - began)


def left_out(case: Case, effort: Effort, why: str) -> Ran:
    """Return that nothing was measured of a case."""
    return Ran(case, _none(_wanted(case, effort), why), [], 0.0)


def _wanted(case: Case, effort: Effort) -> list[Wanted]:
    return [each for each in case.wanted if not (effort.quick and each.full)]


def _measured(
    case: Case, wanted: Sequence[Wanted], effort: Effort, found: list[Round]
) -> list[Figure]:
    try:
        with Stage() as stage, case.open(stage, effort) as sides:
            found.extend(rounds(sides, stage, effort))
            load = frozenset(stage.load)
    except NotMeasured as why:
        return _none(wanted, str(why))
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        return _none(wanted, f"it failed: {str(error).partition(chr(10))[0]}")
    cores = os.cpu_count() or 1
    return [judge(each, found, effort.rounds, load, cores) for each in wanted]


def _none(wanted: Sequence[Wanted], why: str) -> list[Figure]:
    return [Figure(each, Verdict.NOT_MEASURED, why) for each in wanted]
