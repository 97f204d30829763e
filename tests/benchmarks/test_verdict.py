from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from benchmarks.frame.case import Reading, Wanted
from benchmarks.frame.machine import Load
from benchmarks.frame.rounds import Round
from benchmarks.frame.verdict import Figure, Verdict, judge, saturated

AT_LEAST_HALF = Wanted(name="ours / theirs", of="ours", to="theirs", at_least=0.5)
QUIET, BUSY = 0.1, 0.3


@dataclass(frozen=True)
class Missing:
    def missing(self) -> str:
        return "no peer: install it"

    def prepare(self) -> None:
        raise AssertionError("judging installs nothing")


def a_round(
    ours: float = 60,
    theirs: float = 100,
    foreign: float = QUIET,
    service: float = 0.95,
    peer: float = 0.95,
    client: float = 0.3,
) -> Round:
    sides = {
        "us": {"ours": Reading(ours, "/s", "ours.py:1")},
        "peer": {"theirs": Reading(theirs, "/s", "theirs.py:2")},
    }
    loads = {
        "us": Load(1, foreign, shares={"service": service, "client": client}),
        "peer": Load(1, foreign, shares={"peer": peer, "client": client}),
    }
    return Round(sides, loads)


def judged(rounds: Sequence[Round], wanted: Wanted = AT_LEAST_HALF, cores: int = 4) -> Figure:
    return judge(wanted, rounds, enough=3, load=["client"], cores=cores)


def test_a_figure_is_the_median_of_ratios_within_rounds() -> None:
    figure = judged([a_round(60, 100), a_round(10, 10), a_round(1000, 2000)])

    assert figure.each == (0.6, 1.0, 0.5)
    assert (figure.value, figure.spread) == (0.6, (0.5, 1.0))
    assert figure.verdict is Verdict.REACHED
    assert figure.where == ("ours.py:1", "theirs.py:2")


@pytest.mark.parametrize(
    ("ours", "wanted", "verdict"),
    [
        (50, Wanted(name="", of="ours", to="theirs", at_least=0.5), Verdict.REACHED),
        (49, Wanted(name="", of="ours", to="theirs", at_least=0.5), Verdict.FALLS_SHORT),
        (50, Wanted(name="", of="ours", to="theirs", at_most=0.5), Verdict.REACHED),
        (51, Wanted(name="", of="ours", to="theirs", at_most=0.5), Verdict.FALLS_SHORT),
        (51, Wanted(name="", of="ours", at_most=51), Verdict.REACHED),
        (52, Wanted(name="", of="ours", at_most=51), Verdict.FALLS_SHORT),
        (52, Wanted(name="", of="ours"), Verdict.TOLD),
    ],
)
def test_bounds_are_still_within(ours: float, wanted: Wanted, verdict: Verdict) -> None:
    assert judged([a_round(ours)] * 3, wanted).verdict is verdict


def test_disturbed_rounds_do_not_count() -> None:
    figure = judged([a_round(1, foreign=BUSY), *[a_round(60)] * 3])

    assert figure.each == (0.6,) * 3
    assert figure.verdict is Verdict.REACHED


def test_with_too_few_quiet_rounds_nothing_is_measured() -> None:
    figure = judged([a_round(), a_round(), a_round(foreign=BUSY)])

    assert figure.verdict is Verdict.NOT_MEASURED
    assert figure.why == "others disturbed 1 of 3 rounds (up to 0.30 cores)"


def test_what_is_missing_is_said_with_what_to_do() -> None:
    needing = Wanted(name="", of="ours", to="theirs", at_least=1, needs=[Missing()])

    figure = judged([a_round()] * 3, needing)

    assert (figure.verdict, figure.why) == (Verdict.NOT_MEASURED, "no peer: install it")


def test_a_side_that_gave_nothing_concerns_its_figures_only() -> None:
    without = [Round({"us": found.sides["us"]}, found.loads) for found in [a_round()] * 3]

    assert judged(without).verdict is Verdict.NOT_MEASURED
    assert "theirs" in judged(without).why
    assert judged(without, Wanted(name="", of="ours", at_least=1)).verdict is Verdict.REACHED


def test_we_do_not_fall_short_where_the_load_was_the_limit() -> None:
    figure = judged([a_round(10, service=0.5, client=0.95)] * 3)

    assert figure.verdict is Verdict.NOT_MEASURED
    assert "ours was limited by its load (client)" in figure.why


def test_nor_are_we_better_than_a_peer_whose_load_was_its_limit() -> None:
    figure = judged([a_round(90, peer=0.4, client=0.95)] * 3)

    assert figure.verdict is Verdict.NOT_MEASURED
    assert "theirs was limited by its load (client)" in figure.why


def test_falling_short_of_a_peer_that_could_do_even_more_is_falling_short() -> None:
    rounds = [
        Round(each.sides, {**each.loads, "peer": Load(1, 0, shares={"client": 0.95})})
        for each in [a_round(10)] * 3
    ]

    assert judged(rounds).verdict is Verdict.FALLS_SHORT


def test_a_service_at_its_limit_beside_the_load_is_the_limit() -> None:
    assert judged([a_round(10, service=0.95, client=0.95)] * 3).verdict is Verdict.FALLS_SHORT


def test_who_was_saturated_is_told_of_each_side() -> None:
    assert judged([a_round()] * 3).saturated == ("ours: service", "theirs: peer")


def test_a_full_machine_is_everybodys_limit() -> None:
    assert saturated({"a": 0.8, "b": 0.7, "c": 0.45, "d": 0.0}, cores=2) == ("a", "b", "c")
    assert saturated({"a": 0.8, "b": 0.5}, cores=2) == ()
    assert saturated({"a": 0.8, "b": 1.0}, cores=2) == ("b",)
