import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hwprovisioner.allocate.simulate.__main__ import main

SCENARIOS = Path(__file__).parents[3] / "examples" / "scenarios"


@pytest.mark.parametrize("name", ["all-cpu", "scarce-gpu", "ci-storm"])
def test_all_judgements_hold_for_what_is_shipped(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    svg, numbers = tmp_path / "day.svg", tmp_path / "day.json"
    given = [str(SCENARIOS / f"{name}.yml"), "--svg", str(svg), "--json", str(numbers)]
    assert main(given) == 0
    said = capsys.readouterr().out
    assert said.count("\nok  ") == 4
    read = json.loads(numbers.read_text())
    assert read["holds"]
    assert read["starvation"]["most_passed_over"] <= read["starvation"]["most_allowed"]
    assert read["backfill"]["delayed"] == []
    assert read["fair_share"]["worst"] <= read["fair_share"]["allowed"]
    assert read["utilisation"]["gap"] <= read["utilisation"]["allowed"]
    marks = {element.tag.rpartition("}")[2] for element in ElementTree.parse(svg).iter()}  # noqa: S314
    assert {"circle", "path", "text"} <= marks


def test_a_day_that_falls_short_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario = tmp_path / "s.yml"
    # A set of all machines comes often, and nobody says how long anything lasts.
    scenario.write_text("""
        duration: 6h
        resources: {m: {count: 6, cpu: 8}}
        streams:
          one: {demands: {}, arrivals: {every: 1m}, duration: {uniform: [5m, 40m]}}
          all: {demands: {n: {count: 6}}, arrivals: {every: 10m}, duration: 2m}
    """)
    assert main([str(scenario)]) == 1
    assert "\nFAIL utilisation" in capsys.readouterr().out


def test_a_bad_scenario_is_refused_with_its_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = tmp_path / "s.yml"
    scenario.write_text("duration: 24x\n")
    assert main([str(scenario)]) == 2
    said = capsys.readouterr().err
    assert f"{scenario}:1:11: duration: should be a span of time" in said
    assert "has no resources" in said


def test_demands_that_nothing_satisfies_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario = tmp_path / "s.yml"
    scenario.write_text(
        "resources: {m: {cpu: 8}}\n"
        "streams: {s: {demands: {cpus: 9}, arrivals: {every: 1h}, duration: 1m}}\n"
    )
    assert main([str(scenario)]) == 2
    assert "streams.s.demands: nothing of this lab" in capsys.readouterr().err


def test_the_seed_can_be_given(tmp_path: Path) -> None:
    def day(seed: str) -> object:
        numbers = tmp_path / "day.json"
        main([str(SCENARIOS / "ci-storm.yml"), "--seed", seed, "--json", str(numbers)])
        return json.loads(numbers.read_text())["users"]

    assert day("1") == day("1") != day("2")
