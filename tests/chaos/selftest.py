"""``make chaos-selftest``: whether the checker and the tests have teeth.

Each known bug is put into a copy of the sources, and what should find it has to. Before that, the
copy has none, and nothing may be found. The working tree is never touched. Names of bugs as
arguments: only those.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chaos.broken import name_of
from chaos.bugs import Bug, ChaosRun, bugs

TOP = Path(__file__).parents[2]
ROOTS = (
    *("protos/gen", "state", "serving", "allocate", "heartbeat", "resourcemanager", "client"),
    *("suite", "tests"),
)
LIMIT_S = 300.0
#: What pytest returns when tests failed, and not, say, when it found none.
TESTS_FAILED = 1
_SKIPPED = shutil.ignore_patterns(".*", "__pycache__", "results")


def main() -> int:
    """Return 0 if every bug is found, and nothing where there is none."""
    chosen = [bug for bug in bugs() if not sys.argv[1:] or bug.name in sys.argv[1:]]
    with tempfile.TemporaryDirectory(prefix="hwp-bugs-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(TOP, tree, ignore=_SKIPPED)
        missed = [*_found_without_a_bug(tree, chosen), *_missed(tree, chosen)]
    _say("\n".join([*missed, f"{len(chosen)} bugs, {len(missed)} complaints"]))
    return 1 if missed else 0


def _found_without_a_bug(tree: Path, chosen: list[Bug]) -> list[str]:
    """Run every detector on the sources as they are."""
    detectors = dict.fromkeys(detector for bug in chosen for detector in bug.detectors)
    wrong = []
    for detector in detectors:
        status, said = _run(tree, detector)
        _say(f"{'quiet' if status == 0 else 'NOT QUIET':10} {detector}")
        if status:
            wrong.append(f"without a bug, {detector} found something:\n{said[-3000:]}")
    return wrong


def _missed(tree: Path, chosen: list[Bug]) -> list[str]:
    missed = []
    for bug in chosen:
        bug.apply(tree)
        try:
            for detector in bug.detectors:
                began = time.monotonic()
                status, said = _run(tree, detector)
                is_found = _is_found(detector, status, said)
                took = f"{time.monotonic() - began:5.1f} s"
                _say(f"{'found' if is_found else 'MISSED':10} {bug.name:28} {took}  {detector}")
                if not is_found:
                    missed.append(f"{bug.name} was not found by {detector}:\n{said[-3000:]}")
        finally:
            bug.apply(tree, "-R")
    return missed


def _is_found(detector: str | ChaosRun, status: int, said: str) -> bool:
    if isinstance(detector, ChaosRun):
        return status == 1 and f"{name_of(detector.promise)}:" in said
    return status == TESTS_FAILED


def _run(tree: Path, detector: str | ChaosRun) -> tuple[int, str]:
    """Run what may find a bug in a tree; return its exit status and what it said."""
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(str(tree / root) for root in ROOTS)}
    if isinstance(detector, ChaosRun):
        command = [sys.executable, "-m", "chaos"]
        environ |= {
            "CHAOS_SEED": str(detector.seed),
            "CHAOS_SECONDS": str(detector.seconds),
            "CHAOS_FAULTS": detector.faults,
        }
    else:
        options = ("-q", "-x", "-p", "no:cacheprovider", "--no-header")
        command = [sys.executable, "-m", "pytest", *options, *shlex.split(detector)]
    try:
        result = subprocess.run(
            command,
            cwd=tree,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return -1, f"it took longer than {LIMIT_S:g} s"
    return result.returncode, result.stdout


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
