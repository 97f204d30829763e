"""What is told on the terminal."""

from collections.abc import Iterator, Sequence

from benchmarks.frame.case import Case
from benchmarks.frame.verdict import Figure, Verdict

_NAME, _VALUE, _SPREAD, _WANTED = 56, 12, 22, 16


def head() -> str:
    """Return the line above all figures."""
    line = f"{'figure (median of rounds)':<{_NAME}} {'':>{_VALUE}} {'spread':<{_SPREAD}}"
    return f"{line} {'wanted':<{_WANTED}}"


def told(case: Case, figures: Sequence[Figure], has_where: bool) -> Iterator[str]:
    """Yield the lines of a case."""
    yield f"\n{case.name}: {case.what}"
    whys = {figure.why for figure in figures}
    is_one = len(whys) == 1
    for figure in figures:
        yield line(figure)
        if figure.why and not is_one:
            yield f"    {figure.why}"
        if has_where:
            yield from (f"    measured at {where}" for where in figure.where)
    if is_one:
        yield from (f"    {why}" for why in whys if why)
    for who in sorted({who for figure in figures for who in figure.saturated}):
        yield f"    saturated during {who}"


def line(figure: Figure) -> str:
    """Return one figure as a line."""
    value, spread = "", ""
    if figure.each:
        low, high = figure.spread
        value = f"{number(figure.value)} {figure.unit}"
        spread = f"({number(low)} to {number(high)})"
    name = f"  {figure.wanted.name}"
    parts = f"{name:<{_NAME}} {value:>{_VALUE}} {spread:<{_SPREAD}} {bound(figure):<{_WANTED}}"
    return f"{parts} {figure.verdict}".rstrip()


def bound(figure: Figure) -> str:
    """Return what is wanted, in few words."""
    unit = "" if figure.unit in ("", "x") else f" {figure.unit}"
    most, least = figure.wanted.at_most, figure.wanted.at_least
    said = [f"<= {most:g}{unit}"] if most is not None else []
    said += [f">= {least:g}{unit}"] if least is not None else []
    return " and ".join(said)


def number(value: float) -> str:
    """Return a figure with three digits that count, or all of a large one."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def summary(figures: Sequence[Figure]) -> str:
    """Return how many came to what."""
    counts = [sum(each.verdict is verdict for each in figures) for verdict in list(Verdict)[:3]]
    return ", ".join(f"{n} {verdict}" for n, verdict in zip(counts, Verdict, strict=False))


def status(figures: Sequence[Figure]) -> int:
    """Return the exit status: 0 all reached, 1 one falls short, 3 one was not measured."""
    verdicts = {figure.verdict for figure in figures}
    if Verdict.FALLS_SHORT in verdicts:
        return 1
    return 3 if Verdict.NOT_MEASURED in verdicts else 0
