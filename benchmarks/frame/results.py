"""What a run leaves behind: all of it, with the machine and the commit, as JSON."""

import importlib.metadata
import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.frame import drawing
from benchmarks.frame.case import Case, Effort
from benchmarks.frame.growing import Growth
from benchmarks.frame.rounds import Round
from benchmarks.frame.stage import find_binary
from benchmarks.frame.verdict import Figure

RESULTS = Path(__file__).resolve().parents[1] / "results"
_PACKAGES = ("grpcio", "protobuf", "hiredis", "uvloop")
_PROGRAMS = {
    "redis": [find_binary(), "--version"],
    "h2load": ["h2load", "--version"],
    "etcd": ["etcd", "--version"],
    "redis-benchmark": ["redis-benchmark", "--version"],
}


def machine() -> dict[str, Any]:
    """Return on what it ran."""
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cores": os.cpu_count(),
        "processor": model[0] if model else platform.machine(),
        "kernel": platform.release(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    }


def versions() -> dict[str, str]:
    """Return what it ran with."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    for name, command in _PROGRAMS.items():
        if said := _first_line(command):
            found[name] = said
    return found


def commit() -> str:
    """Return which sources ran, and whether they had changes."""
    at = _first_line(["git", "rev-parse", "--short=12", "HEAD"])
    changed = _first_line(["git", "status", "--porcelain", "--untracked-files=no"])
    return f"{at}, with changes" if at and changed else at


def _first_line(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=RESULTS.parent
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.partition("\n")[0].strip()


def of_case(case: Case, figures: Sequence[Figure], rounds: Sequence[Round]) -> dict[str, Any]:
    """Return what is kept of a case."""
    kept: dict[str, Any] = {
        "name": case.name,
        "what": case.what,
        "figures": [_of_figure(figure) for figure in figures],
        "rounds": [_of_round(found) for found in rounds],
    }
    if case.growth and (points := _points(case.growth, figures)):
        kept["growth"] = _of_growth(case.growth, points)
    return kept


def _points(growth: Growth, figures: Sequence[Figure]) -> list[tuple[int, Figure]]:
    """Return the figure of each size, if all were measured."""
    found = {figure.wanted.of: figure for figure in figures if not figure.wanted.to and figure.each}
    points = [(size, found.get(growth.reading(size))) for size in growth.sizes]
    known = [(size, figure) for size, figure in points if figure is not None]
    return known if len(known) == len(points) else []


def _of_growth(growth: Growth, points: Sequence[tuple[int, Figure]]) -> dict[str, Any]:
    """Return a growth as it is drawn; what was expected goes through the first point."""
    least, first = points[0]
    scale = first.value / growth.theory.at(least)
    return {
        "of": growth.of,
        "what": growth.what,
        "unit": first.unit,
        "points": [(size, figure.value, *figure.spread) for size, figure in points],
        "theory": [(size, scale * growth.theory.at(size)) for size, _ in points],
        "theory_words": growth.theory.words,
    }


def _of_figure(figure: Figure) -> dict[str, Any]:
    wanted = figure.wanted
    kept: dict[str, Any] = {"name": wanted.name, "words": wanted.words, "of": wanted.of}
    if wanted.to:
        kept["to"] = wanted.to
    kept |= {"at_most": wanted.at_most, "at_least": wanted.at_least}
    kept |= {"verdict": str(figure.verdict) or "told", "why": figure.why, "unit": figure.unit}
    if figure.each:
        kept |= {"value": figure.value, "spread": figure.spread, "each": figure.each}
        kept |= {"measured_at": figure.where, "saturated": figure.saturated}
    return kept


def _of_round(found: Round) -> dict[str, Any]:
    return {
        side: {
            "readings": {
                name: {"value": each.value, "unit": each.unit, "measured_at": each.where}
                for name, each in readings.items()
            },
            **_of_load(found, side),
        }
        for side, readings in found.sides.items()
    }


def _of_load(found: Round, side: str) -> Mapping[str, Any]:
    if side not in found.loads:
        return {}
    load = found.loads[side]
    shares = {name: round(share, 3) for name, share in load.shares.items()}
    return {"seconds": round(load.seconds, 3), "foreign": round(load.foreign, 3), "cores": shares}


def write(folder: Path, effort: Effort, case: Mapping[str, Any]) -> Path:
    """Write what a case has found, in a file of its own, with its curve; returns where."""
    kept: dict[str, Any] = {
        "measured": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
        "wanted_rounds": effort.rounds,
        "seconds": effort.seconds,
        "tolerant": effort.tolerant,
        **case,
    }
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{case['name']}.json"
    file.write_text(json.dumps(kept, indent=1) + "\n")
    if "growth" in case:
        file.with_suffix(".svg").write_text(drawing.growth(case))
    return file


def read(folder: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return what was written of cases, of those that were."""
    files = [folder / f"{name}.json" for name in names]
    return [json.loads(file.read_text()) for file in files if file.exists()]
