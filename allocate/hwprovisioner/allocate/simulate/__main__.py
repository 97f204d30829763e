"""``python -m hwprovisioner.allocate.simulate SCENARIO.yml``: a day of a lab, and how it went."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hwprovisioner.allocate.simulate.drawing import draw
from hwprovisioner.allocate.simulate.events import Day
from hwprovisioner.allocate.simulate.judging import Verdict, judge
from hwprovisioner.allocate.simulate.report import as_json, as_text
from hwprovisioner.allocate.simulate.scenario import Scenario
from hwprovisioner.allocate.simulate.scenario_file import ScenarioError, read_scenario
from hwprovisioner.allocate.simulate.trace import Trace
from hwprovisioner.allocate.simulate.workload import jobs_of

HOLDS, FALLS_SHORT, BAD_SCENARIO = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate a scenario; return the exit status."""
    given = _parser().parse_args(arguments)
    try:
        scenario = read_scenario(given.scenario)
    except ScenarioError as error:
        print(error, file=sys.stderr)
        return BAD_SCENARIO
    seed = scenario.seed if given.seed is None else given.seed
    jobs = jobs_of(scenario, seed)
    day = Day(scenario, jobs, backfill=scenario.policy.backfill)
    if never := day.never():
        for stream, why in never.items():
            print(f"{given.scenario}: streams.{stream}.demands: {why}", file=sys.stderr)
        return BAD_SCENARIO
    start_s = time.perf_counter()
    trace = day.run()
    span_s = time.perf_counter() - start_s
    verdict = judge(scenario, trace, Day(scenario, jobs, backfill=False).run())
    print(as_text(scenario, trace, verdict))
    print(f"\nseed {seed}: {trace.events} events in {span_s:.1f} s, {trace.events / span_s:.0f}/s")
    _write(given, scenario, trace, verdict)
    return HOLDS if verdict.holds else FALLS_SHORT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m hwprovisioner.allocate.simulate",
        description="Run the lab's planning over a described lab and day, and judge it.",
        epilog="Exit status: 0 if all judgements hold, 1 if not, 2 for a scenario with problems."
        " What a scenario is made of: docs/simulator.md.",
    )
    parser.add_argument("scenario", metavar="SCENARIO.yml")
    parser.add_argument("--svg", type=Path, metavar="OUT.svg", help="draw who waited how long")
    parser.add_argument("--json", type=Path, metavar="OUT.json", help="write all numbers")
    parser.add_argument("--seed", type=int, help="instead of the scenario's")
    return parser


def _write(given: argparse.Namespace, scenario: Scenario, trace: Trace, verdict: Verdict) -> None:
    if given.svg:
        given.svg.write_text(draw(scenario, trace, verdict), encoding="utf-8")
    if given.json:
        text = json.dumps(as_json(scenario, trace, verdict), indent=2)
        given.json.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
