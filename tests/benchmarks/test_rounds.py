from collections.abc import Iterator

import pytest
from benchmarks.frame import machine
from benchmarks.frame.case import Effort, Readings, reading
from benchmarks.frame.machine import Sample, Worked
from benchmarks.frame.rounds import rounds
from benchmarks.frame.stage import Stage

EFFORT = Effort(rounds=3, spare=2, quick=True)


class Others:
    """Use the machine as they are told, a sample a second."""

    def __init__(self) -> None:
        self.busy = [0.0]

    def sample(self) -> Sample:
        at_s = len(self.busy)
        self.busy.append(self.busy[-1] + self.cores(at_s))
        return Sample(at_s, self.busy[-1], {1: Worked(0, 0, 0)})

    def cores(self, at_s: int) -> float:
        return 0.0


@pytest.fixture
def order() -> list[str]:
    return []


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Others:
    others = Others()
    monkeypatch.setattr(machine, "sample", others.sample)
    monkeypatch.setattr("benchmarks.frame.rounds._settle", lambda: None)
    return others


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


def sides(order: list[str]) -> dict[str, object]:
    def side(name: str) -> Readings:
        order.append(name)
        return {name: reading(len(order), "times")}

    return {"a": lambda: side("a"), "b": lambda: side("b")}


def test_sides_go_forth_and_back(order: list[str], others: Others, stage: Stage) -> None:
    found = list(rounds(sides(order), stage, EFFORT))  # type: ignore[arg-type]

    assert order == ["a", "b", "b", "a", "a", "b"]
    assert len(found) == EFFORT.rounds
    assert [list(each.sides) for each in found] == [["a", "b"]] * 3


def test_a_disturbed_round_is_repeated(
    order: list[str], others: Others, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(others, "cores", lambda at_s: float(at_s == 2))

    found = list(rounds(sides(order), stage, EFFORT))  # type: ignore[arg-type]

    assert [each.disturbed for each in found] == [True, False, False, False]


def test_but_not_for_ever(
    order: list[str], others: Others, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(others, "cores", lambda at_s: 1.0)

    found = list(rounds(sides(order), stage, EFFORT))  # type: ignore[arg-type]

    assert [each.disturbed for each in found] == [True] * (EFFORT.rounds + EFFORT.spare)


def test_a_reading_knows_the_line_that_made_it() -> None:
    assert reading(1, "ms").where.startswith("tests/benchmarks/test_rounds.py:")
