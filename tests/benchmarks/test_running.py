import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from benchmarks.cases import CASES
from benchmarks.frame.case import (
    Case,
    Effort,
    Fresh,
    NotMeasured,
    Program,
    Readings,
    Side,
    Wanted,
    reading,
)
from benchmarks.frame.running import left_out, run
from benchmarks.frame.stage import Stage
from benchmarks.frame.verdict import Verdict

EFFORT = Effort(rounds=3, spare=0, quick=True, tolerant=True)
TWICE = Wanted(name="ours / theirs", of="ours", to="theirs", at_least=2)
FULL_ONLY = Wanted(name="costly", of="ours", full=True)


@dataclass
class Opened:
    """What a case does."""

    fails: Exception | None = None
    folders: list[Path] = field(default_factory=list)
    prepared: int = 0

    @contextlib.contextmanager
    def __call__(self, stage: Stage, effort: Effort) -> Iterator[Mapping[str, Side]]:
        self.folders.append(stage.folder)
        if self.fails:
            raise self.fails
        yield {"us": Fresh(self._prepare, self._ours), "peer": self._theirs}

    def _prepare(self) -> None:
        self.prepared += 1

    def _ours(self) -> Readings:
        return {"ours": reading(4, "/s")}

    def _theirs(self) -> Readings:
        return {"theirs": reading(2, "/s")}


def a_case(opened: Opened, *needs: Program) -> Case:
    return Case(
        name="race", what="who is faster", wanted=[TWICE, FULL_ONLY], needs=needs, open=opened
    )


def test_sides_are_measured_side_by_side_and_judged() -> None:
    opened = Opened()

    ran = run(a_case(opened), EFFORT)

    [figure] = ran.figures
    assert (figure.verdict, figure.each) == (Verdict.REACHED, (2.0, 2.0, 2.0))
    assert opened.prepared == EFFORT.rounds
    assert not opened.folders[0].exists()


def test_a_program_that_is_not_there_is_named_and_nothing_is_started() -> None:
    opened = Opened()

    ran = run(a_case(opened, Program("no-such-program", "build it")), EFFORT)

    assert [figure.why for figure in ran.figures] == ["no no-such-program: build it"]
    assert not opened.folders


@pytest.mark.parametrize("fails", [NotMeasured("no disk"), RuntimeError("no disk\nat all")])
def test_what_goes_wrong_is_not_measured_and_cleaned_up(
    fails: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = Opened(fails)

    ran = run(a_case(opened), EFFORT)

    assert [figure.verdict for figure in ran.figures] == [Verdict.NOT_MEASURED]
    assert "no disk" in ran.figures[0].why
    assert ("Traceback" in capsys.readouterr().err) == isinstance(fails, RuntimeError)
    assert not opened.folders[0].exists()


def test_what_is_left_out_is_told() -> None:
    ran = left_out(a_case(Opened()), EFFORT, "no time")

    assert [(figure.verdict, figure.why) for figure in ran.figures] == [
        (Verdict.NOT_MEASURED, "no time")
    ]


def test_cases_have_names_of_their_own_and_figures_too() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    for case in CASES:
        figures = [wanted.name for wanted in case.wanted]
        assert len(set(figures)) == len(figures), case.name
        judged = [w for w in case.wanted if w.at_most is not None or w.at_least is not None]
        assert all(wanted.words for wanted in judged), case.name
