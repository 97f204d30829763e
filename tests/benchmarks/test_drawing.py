from typing import Any
from xml.etree import ElementTree

import pytest
from benchmarks.frame import drawing
from benchmarks.frame.case import Case, Wanted
from benchmarks.frame.growing import LINEAR, Growth
from benchmarks.frame.results import of_case
from benchmarks.frame.verdict import Figure, Verdict

GROWTH = Growth("cats", "cost of a purr", (1, 10, 100), LINEAR)


def a_case() -> Case:
    return Case(name="cats", what="", wanted=(), open=lambda *_: None, growth=GROWTH)  # type: ignore[arg-type]


def costs() -> list[Figure]:
    names = [GROWTH.reading(size) for size in GROWTH.sizes]
    values = (5.0, 6.0, 7.0)
    return [
        Figure(Wanted(name=name, of=name), Verdict.TOLD, each=(value - 1, value, value + 2))
        for name, value in zip(names, values, strict=True)
    ]


def a_figure(value: float, verdict: str, **bounds: float) -> dict[str, Any]:
    known = {"at_most": None, "at_least": None, **bounds}
    return {"name": "purrs & mews", "value": value, "verdict": verdict, "unit": "x", **known}


def test_theory_goes_through_the_first_point() -> None:
    kept = of_case(a_case(), costs(), [])

    assert kept["growth"]["points"] == [(1, 5, 4, 7), (10, 6, 5, 8), (100, 7, 6, 9)]
    assert kept["growth"]["theory"] == [(1, 5), (10, 50), (100, 500)]


def test_a_growth_that_was_not_measured_at_each_size_is_not_drawn() -> None:
    assert "growth" not in of_case(a_case(), costs()[:-1], [])


def test_pictures_are_well_formed() -> None:
    figures = [a_figure(8, "FALLS SHORT", at_most=4), a_figure(8, "told")]
    for picture in (drawing.growth(of_case(a_case(), costs(), [])), drawing.glance(figures)):
        assert ElementTree.fromstring(picture).tag.endswith("svg")  # noqa: S314  # our own


@pytest.mark.parametrize(
    ("figure", "expected"),
    [
        (a_figure(8, "FALLS SHORT", at_most=4), 0.5),
        (a_figure(8, "reached", at_least=4), 2),
        (a_figure(8, "told"), None),
        (a_figure(8, "not measured", at_least=4), None),
    ],
)
def test_better_is_more_than_one(figure: dict[str, Any], expected: float | None) -> None:
    assert drawing.margin(figure) == expected
