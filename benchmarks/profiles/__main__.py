"""``make bench-profiles``: where the processor time of each path goes, as flame graphs.

Stacks are sampled by py-spy, which is installed beside us for that. Waiting is left out, and so are
other threads than the first (gRPC polls in one); how much these use is told beside.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.frame import machine
from benchmarks.frame.results import RESULTS, commit
from benchmarks.frame.stage import Stage
from benchmarks.peers.environment import PeerEnvironment
from benchmarks.profiles import flame, stacks
from benchmarks.profiles import paths as known

FOLDER = RESULTS / "profiles"
PY_SPY = PeerEnvironment("py-spy", Path(__file__).with_name("requirements.txt"))
_RATE = 200
_START_S = 1.0
"""py-spy reads symbols for so long first."""


def main() -> int:
    """Profile each path, or those that are named; returns 0 if all were."""
    parser = argparse.ArgumentParser(prog="benchmarks.profiles", description=__doc__)
    parser.add_argument("path", nargs="*", help=", ".join(path.name for path in known.PATHS))
    parser.add_argument("--seconds", type=int, default=15)
    chosen = parser.parse_args()
    PY_SPY.prepare()
    if missing := PY_SPY.missing():
        print(missing, file=sys.stderr)
        return 2
    status = 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in known.PATHS:
        if chosen.path and path.name not in chosen.path:
            continue
        if lacks := [what for need in path.needs if (what := need.missing())]:
            print(f"{path.name}: not profiled: {'; '.join(lacks)}", file=sys.stderr)
            status = 3
            continue
        _profile(path, chosen.seconds)
    return status


def _profile(path: known.Path, seconds: int) -> None:
    raw = FOLDER / f"{path.name}.txt"
    with Stage() as stage, path.open(stage) as work:
        pid = stage.named[path.process]
        before = machine.sample(), _main_thread_s(pid)
        spying = subprocess.Popen(_command(pid, seconds, raw), stderr=subprocess.PIPE, text=True)
        work(seconds + 2 * _START_S)
        _, said = spying.communicate()
        after = machine.sample(), _main_thread_s(pid)
        load = machine.load_between(before[0], after[0], pid, stage.named)
    if spying.returncode:
        raise RuntimeError(f"py-spy: {said}")
    found = stacks.parse(raw.read_text())
    raw.unlink()
    in_main = (after[1] - before[1]) / load.seconds
    shares = {name: round(share, 2) for name, share in load.shares.items()}
    kept: dict[str, Any] = {
        "what": path.what,
        "commit": commit(),
        "samples": sum(found.values()),
        "cores": shares,
        "other_threads": round(max(0.0, load.shares[path.process] - in_main), 2),
        "parts": stacks.by_part(found),
        "own": dict(list(stacks.own(found).items())[:25]),
        "within": dict(list(stacks.within(found).items())[:60]),
    }
    (FOLDER / f"{path.name}.json").write_text(json.dumps(kept, indent=1) + "\n")
    (FOLDER / f"{path.name}.svg").write_text(flame.draw(path.what, found))
    print(f"\n{path.what}: {kept['samples']} samples; cores: {shares};", end=" ")
    print(f"{kept['other_threads']:.2f} of them in other threads than the first")
    for name, share in list(kept["parts"].items())[:10]:
        print(f"  {share:6.1%}  {name}")


def _command(pid: int, seconds: int, to: Path) -> list[str]:
    program = PY_SPY.folder / "bin" / "py-spy"
    how = ["--native", "--format", "raw", "--rate", str(_RATE), "--duration", str(seconds)]
    return [str(program), "record", "--pid", str(pid), *how, "--output", str(to)]


def _main_thread_s(pid: int) -> float:
    return machine.parse_process(Path(f"/proc/{pid}/task/{pid}/stat").read_text()).own_s


if __name__ == "__main__":
    sys.exit(main())
