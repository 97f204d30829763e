"""``make bench``: everything that is promised of speed, next to its floor or a peer, in one run.

Exit status: 0 everything was measured and reached, 1 something falls short, 2 it could not run,
3 nothing falls short, but something was not measured.
"""

import argparse
import fnmatch
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.frame import drawing, results, table
from benchmarks.frame.case import QUICK, Case, Effort
from benchmarks.frame.results import RESULTS
from benchmarks.frame.running import left_out, run
from benchmarks.frame.verdict import Figure

COULD_NOT_RUN = 2
QUICK_LIMIT_S = 40.0
"""A quick run begins no more cases then."""


def main() -> int:
    """Measure what is asked for, tell it, keep it, and return the exit status."""
    chosen = _arguments()
    cases = _chosen(chosen.case, quick=chosen.quick)
    if not cases:
        print(f"benchmarks: no case is called {' or '.join(chosen.case)}; --list", file=sys.stderr)
        return COULD_NOT_RUN
    if chosen.list:
        print(*(f"{case.name:<24}{case.what}" for case in cases), sep="\n")
        return 0
    if not Path("/proc/stat").exists():
        print("benchmarks: who uses the processors is known on Linux only", file=sys.stderr)
        return COULD_NOT_RUN
    effort = QUICK if chosen.quick else Effort()
    given = {"rounds": chosen.rounds, "seconds": chosen.seconds, "spare": chosen.spare}
    effort = replace(effort, tolerant=chosen.tolerant)
    effort = replace(effort, **{name: value for name, value in given.items() if value is not None})
    # Ended by whoever, everything that was started is ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(COULD_NOT_RUN))
    return _run(cases, effort, has_where=chosen.where)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("case", nargs="*", help="names of cases, or patterns; all if none is given")
    parser.add_argument("--quick", action="store_true", help="shorter and fewer, in under 60 s")
    parser.add_argument("--list", action="store_true", help="list the cases")
    parser.add_argument("--where", action="store_true", help="name the lines that measured")
    parser.add_argument("--rounds", type=int, help="quiet rounds of each case, at least 3")
    parser.add_argument("--spare", type=int, help="so many more if some are disturbed")
    parser.add_argument("--seconds", type=float, help="how long each side makes load in a round")
    parser.add_argument(
        "--tolerant",
        action="store_true",
        help="disturbed rounds count: for work on a case, its figures mean little",
    )
    return parser.parse_args()


def _chosen(patterns: Sequence[str], quick: bool) -> list[Case]:
    if patterns:
        return [c for c in CASES if any(fnmatch.fnmatch(c.name, each) for each in patterns)]
    return [case for case in CASES if not (quick and case.full)]


def _run(cases: Sequence[Case], effort: Effort, has_where: bool) -> int:
    folder = RESULTS / "quick" if effort.quick else RESULTS
    figures: list[Figure] = []
    began = time.monotonic()
    if not effort.quick:
        _prepare(cases)
    print(table.head(), flush=True)
    try:
        for case in cases:
            is_late = effort.quick and time.monotonic() - began > QUICK_LIMIT_S
            why = "no time left in a quick run"
            ran = left_out(case, effort, why) if is_late else run(case, effort)
            figures += ran.figures
            print(*table.told(case, ran.figures, has_where), sep="\n", flush=True)
            results.write(folder, effort, results.of_case(case, ran.figures, ran.rounds))
    except KeyboardInterrupt:
        print("\nbenchmarks: ended by Ctrl-C", file=sys.stderr)
        return COULD_NOT_RUN
    _draw(folder)
    passed = time.monotonic() - began
    print(f"\n{table.summary(figures)}, in {passed:.0f} s; all of it: {folder}/")
    return table.status(figures)


def _draw(folder: Path) -> None:
    """Draw all that was ever measured here at a glance: each case may have run by itself."""
    kept = results.read(folder, [case.name for case in CASES])
    figures = [figure for case in kept for figure in case["figures"]]
    (folder / "glance.svg").write_text(drawing.glance(figures))


def _prepare(cases: Sequence[Case]) -> None:
    needs = [case.needs for case in cases] + [each.needs for case in cases for each in case.wanted]
    for need in {need for some in needs for need in some}:
        need.prepare()


if __name__ == "__main__":
    sys.exit(main())
