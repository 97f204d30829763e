"""The known bugs fit the sources as they are; that each is found, `make chaos-selftest` shows."""

import shlex

import pytest

from chaos.bugs import Bug, bugs
from chaos.faults import FAULTS
from chaos.selftest import TOP

#: What a lease system is known to get wrong; see the issue tracker of any.
WANTED = 12


def test_there_are_enough_bugs() -> None:
    assert len(bugs()) >= WANTED


@pytest.mark.parametrize("bug", bugs(), ids=lambda bug: bug.name)
def test_a_bug_can_be_put_into_the_sources(bug: Bug) -> None:
    bug.apply(TOP, "--check")


@pytest.mark.parametrize("bug", bugs(), ids=lambda bug: bug.name)
def test_what_finds_a_bug_is_there(bug: Bug) -> None:
    for detector in bug.detectors:
        if isinstance(detector, str):
            file, *options = shlex.split(detector)
            text = (TOP / file).read_text()
            words = {word for option in options for word in option.split()} - {"-k", "or"}
            assert {word for word in words if word not in text} == set(), detector
        elif detector.faults != "none":
            assert set(detector.faults.split(",")) <= set(FAULTS), detector
