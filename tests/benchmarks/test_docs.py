from typing import Any

from benchmarks.cases import CASES
from benchmarks.docs import figures, filled, growth

from benchmarks import docs

PAGE = """\
By hand.
<!-- begin figures -->
old
<!-- end figures -->
Stays.
<!-- begin profile-x -->
kept
<!-- end profile-x -->
"""


def a_case(verdict: str, why: str = "") -> dict[str, Any]:
    figure: dict[str, Any] = {"name": "beats / empty", "verdict": verdict, "why": why, "unit": "x"}
    figure |= {"value": 0.95, "spread": [0.9, 1.0], "at_least": 0.9, "at_most": None}
    return {"name": "beat", "what": "beats", "figures": [figure]}


def test_blocks_are_written_anew_and_all_else_stays() -> None:
    page = filled(PAGE, {"figures": "new"})

    assert "old" not in page
    assert "<!-- begin figures -->\n\nnew\n\n<!-- end figures -->" in page
    assert "By hand." in page
    assert "kept" in page
    assert filled(page, {"figures": "new"}) == page


def test_figures_stand_with_what_is_wanted() -> None:
    assert "| beats / empty | 0.95 x | 0.9 to 1 | ≥ 0.9 | reached |" in figures([a_case("reached")])
    assert "**falls short**" in figures([a_case("FALLS SHORT")])


def test_what_was_not_measured_has_no_figure() -> None:
    said = figures([a_case("not measured", why="others disturbed 3 of 5 rounds")])

    assert "0.95" not in said
    assert "not measured: others disturbed 3 of 5 rounds" in said


def test_a_growth_is_a_picture_and_a_row() -> None:
    grown: dict[str, Any] = {"of": "cats", "what": "cost", "unit": "ms", "theory_words": "constant"}
    grown |= {"points": [[1, 5.0, 4, 6], [1000, 7.0, 6, 8]]}

    said = growth({"name": "growth-cats", "growth": grown})

    assert "(performance/growth-cats.svg)" in said
    assert "| cats | 1 | 1,000 |" in said
    assert "| cost | 5 ms | 7 ms |" in said


def test_the_page_has_a_block_for_each_growth() -> None:
    page = docs.PAGE.read_text()

    for case in CASES:
        if case.growth:
            assert f"<!-- begin {case.name} -->" in page
