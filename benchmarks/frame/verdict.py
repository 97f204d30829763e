"""What came of a figure: reached, short of it, or not measured, and why."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.frame.case import Wanted
from benchmarks.frame.machine import Load
from benchmarks.frame.rounds import Round

SATURATED_CORES = 0.9
_FULL = 0.95


class Verdict(StrEnum):
    """What came of a figure."""

    REACHED = "reached"
    FALLS_SHORT = "FALLS SHORT"
    NOT_MEASURED = "not measured"
    TOLD = ""
    """Nothing is wanted of it."""


@dataclass(frozen=True)
class Figure:
    """What was measured for something wanted: the median of the rounds, and their spread."""

    wanted: Wanted
    verdict: Verdict
    why: str = ""
    each: tuple[float, ...] = ()
    unit: str = ""
    where: tuple[str, ...] = ()
    saturated: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """The median; not a number if nothing was measured."""
        return statistics.median(self.each) if self.each else float("nan")

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the most."""
        return (min(self.each), max(self.each)) if self.each else (float("nan"), float("nan"))


def judge(
    wanted: Wanted, rounds: Sequence[Round], enough: int, load: Iterable[str], cores: int
) -> Figure:
    """Return what came of a figure.

    Args:
        wanted: the figure.
        rounds: all, disturbed ones too.
        enough: so many quiet ones are needed.
        load: names of the processes that make load.
        cores: of the machine.
    """
    if missing := [what for need in wanted.needs if (what := need.missing())]:
        return Figure(wanted, Verdict.NOT_MEASURED, "; ".join(missing))
    quiet = [found for found in rounds if not found.disturbed]
    names = [name for name in (wanted.of, wanted.to) if name]
    absent = [name for name in names if any(name not in found.readings for found in rounds)]
    if absent or not rounds:
        return Figure(wanted, Verdict.NOT_MEASURED, f"nothing gave {' and '.join(absent or names)}")
    if len(quiet) < enough:
        return Figure(wanted, Verdict.NOT_MEASURED, _disturbed(rounds))
    return _judged(wanted, quiet, names, frozenset(load), cores)


def _judged(
    wanted: Wanted, quiet: Sequence[Round], names: Sequence[str], load: frozenset[str], cores: int
) -> Figure:
    each = tuple(_value(found, names) for found in quiet)
    first = [quiet[0].readings[name] for name in names]
    limits = [_limit([found.loads for found in quiet], quiet[0].side_of(n), cores) for n in names]
    verdict, why = _verdict(wanted, statistics.median(each)), ""
    # What is limited by its load might be better than it looks.
    blamed = limits[0] if verdict is Verdict.FALLS_SHORT else limits[-1]
    has_two = len(names) == 2
    is_open = verdict is Verdict.FALLS_SHORT or (verdict is Verdict.REACHED and has_two)
    if is_open and _is_by_load(blamed, load):
        what = names[0] if verdict is Verdict.FALLS_SHORT else names[-1]
        why = f"not known: {what} was limited by its load ({', '.join(blamed)})"
        verdict = Verdict.NOT_MEASURED
    return Figure(
        wanted,
        verdict,
        why,
        each,
        "x" if has_two else first[0].unit,
        tuple(reading.where for reading in first),
        tuple(f"{side}: {', '.join(who)}" for side, who in zip(names, limits, strict=True) if who),
    )


def _value(found: Round, names: Sequence[str]) -> float:
    values = [found.readings[name].value for name in names]
    if len(values) == 1:
        return values[0]
    return values[0] / values[1] if values[1] else float("inf")


def _verdict(wanted: Wanted, value: float) -> Verdict:
    if wanted.at_most is None and wanted.at_least is None:
        return Verdict.TOLD
    is_low = wanted.at_most is None or value <= wanted.at_most
    is_high = wanted.at_least is None or value >= wanted.at_least
    return Verdict.REACHED if is_low and is_high else Verdict.FALLS_SHORT


def _limit(loads: Sequence[Mapping[str, Load]], side: str, cores: int) -> tuple[str, ...]:
    """Return what was saturated while a side was measured, by the median of the rounds."""
    known = [each[side] for each in loads if side in each]
    names = {name for each in known for name in each.shares}
    shares = {n: statistics.median(e.shares.get(n, 0.0) for e in known) for n in names}
    return saturated(shares, cores)


def saturated(shares: Mapping[str, float], cores: int) -> tuple[str, ...]:
    """Return which processes had no processor time left, the busiest first.

    Where no single one has, but all together have used the whole machine, it is all of them that
    used more than a tenth of it.
    """
    order = sorted(shares, key=lambda name: -shares[name])
    if alone := tuple(name for name in order if shares[name] >= SATURATED_CORES):
        return alone
    if sum(shares.values()) >= _FULL * cores:
        return tuple(name for name in order if shares[name] >= 0.1 * cores)
    return ()


def _is_by_load(limit: Sequence[str], load: frozenset[str]) -> bool:
    return bool(limit) and all(name.partition("/")[0] in load for name in limit)


def _disturbed(rounds: Sequence[Round]) -> str:
    most = max(load.foreign for found in rounds for load in found.loads.values())
    count = sum(found.disturbed for found in rounds)
    return f"others disturbed {count} of {len(rounds)} rounds (up to {most:.2f} cores)"
