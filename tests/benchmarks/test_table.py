import pytest
from benchmarks.frame.case import Case, Wanted
from benchmarks.frame.table import number, status, told
from benchmarks.frame.verdict import Figure, Verdict

WANTED = Wanted(name="ours / theirs", of="ours", to="theirs", at_least=0.5)
CASE = Case(name="race", what="who is faster", wanted=[WANTED], open=lambda *_: None)  # type: ignore[arg-type]
REACHED = Figure(
    WANTED,
    Verdict.REACHED,
    each=(0.6, 0.7, 0.65),
    unit="x",
    where=("a.py:1 f",),
    saturated=("ours: us",),
)
NEVER = Figure(WANTED, Verdict.NOT_MEASURED, "no peer: install it")
SHORT = Figure(WANTED, Verdict.FALLS_SHORT, each=(0.4,), unit="x")


def test_each_figure_is_told_with_its_verdict() -> None:
    lines = list(told(CASE, [REACHED, NEVER], has_where=True))

    assert lines[0] == "\nrace: who is faster"
    assert lines[1].split() == "ours / theirs 0.65 x (0.6 to 0.7) >= 0.5 reached".split()
    assert "    measured at a.py:1 f" in lines
    assert "    no peer: install it" in lines
    assert "    saturated during ours: us" in lines


def test_one_reason_for_all_is_told_once() -> None:
    lines = list(told(CASE, [NEVER, NEVER], has_where=False))

    assert lines.count("    no peer: install it") == 1


@pytest.mark.parametrize(
    ("figures", "expected"),
    [([REACHED], 0), ([REACHED, SHORT, NEVER], 1), ([REACHED, NEVER], 3)],
)
def test_the_exit_status_says_what_was_reached(figures: list[Figure], expected: int) -> None:
    assert status(figures) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(12345.6, "12,346"), (99.94, "99.9"), (0.01234, "0.0123")]
)
def test_figures_have_three_digits_that_count(value: float, expected: str) -> None:
    assert number(value) == expected
