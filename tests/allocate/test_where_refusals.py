"""`where`: what an expression may not say, and where the words about it point."""

import re
from pathlib import Path

import pytest

from hwprovisioner.allocate.where import compile_where
from hwprovisioner.allocate.where_cost import MAX_PATTERN
from support.where import refusal


def documented() -> list[str]:
    """The examples of the documentation, then its errors, each as it stands there."""
    page = Path(__file__).parents[2].joinpath("docs", "demands.md").read_text()
    section = page.partition("## where: ")[2].partition("\n## ")[0]
    return re.findall(r"```\n(.*?)\n```", section, re.DOTALL)[:2]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "resource.cpsu > 8",
            "line 1, column 9: a resource has no field 'cpsu'; it has name, kind,",
        ),
        (
            "resource.gpus.exists(g, g.mem > 1)",
            "column 26: a card has no field 'mem'; it has brand",
        ),
        (
            "resource.os.name == ''",
            "column 12: an operating system has no field 'name'; it has fam",
        ),
        ("true &&\n  resource.cores > 8", "line 2, column 11: a resource has no field 'cores'"),
        ("'\u00e9' == 'x' || resource.cores > 8", "line 1, column 23: a resource has no"),
        (
            "resource.cpus > 'x'",
            "line 1, column 15: found no matching overload for '_>_' applied to",
        ),
        ("resource.labels[1] == 'x'", "line 1, column 16: found no matching overload"),
        ("resource.name.foo == 1", "line 1, column 14: expression of type 'string' cannot be"),
        ("cpus > 8", "line 1, column 1: undeclared reference to 'cpus'; there are resource, KiB"),
        ("resource.cpus >", "line 1, column 16: ends too early; write it as in resource.cpus >= 8"),
        ("resource.cpus ==== 1", "line 1, column 17: extraneous input '=='; write it as"),
        ("'abc", "line 1, column 1: token recognition error"),
        ("", "is empty: write an expression"),
        (" \n", "is empty: write an expression"),
        ("resource", "is of type resource, not a yes or no"),
        ("resource.cpus", "is of type int, not a yes or no"),
        ("dyn(resource).foo", "is of type dyn, not a yes or no"),
        ("true && '\ud800' == ''", "line 1, column 10: holds half a character"),
        ("1 / 0 == 1", "fails on every resource: divide by zero"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, problem: str) -> None:
    assert problem in refusal(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("resource.name + 'x' == 'ax'", "column 15: joins strings or lists"),
        ("[1] + [2] == [1, 2]", "column 5: joins strings or lists"),
        ("b'a' + b'b' == b'ab'", "column 6: joins strings or lists"),
        ("resource.gpus.map(g, g.brand + g.model) == []", "column 30: joins strings or lists"),
        (
            "dyn(resource).foo == 1",
            "column 4: uses dyn(), which it may not: there are operators, size",
        ),
        ("type(1) == int", "column 5: uses type()"),
        ("timestamp('2020-01-01T00:00:00Z').getFullYear() == 2020", "getFullYear(), which it may"),
        ("hwprovisioner.where.Gpu{} == resource.gpus[0]", "column 1: makes a message"),
        ("google.protobuf.Value{} == null", "makes a message"),
        ("[1].exists(resource, true)", "column 11: calls a variable 'resource'"),
        ("[1].exists(GiB, true)", "calls a variable 'GiB'"),
        ("resource.name.matches('a{9}')", "column 22: matches a pattern that is too costly"),
        ("resource.name.matches(r'\\pL')", "matches a pattern that is too costly"),
        (f"resource.name.matches('{'a' * (MAX_PATTERN + 1)}')", "at most 64 characters"),
        ("resource.name.matches(resource.kind)", "matches a pattern that is not written out"),
        ("resource.name.matches('(')", "column 22: matches what is no pattern of RE2"),
    ],
)
def test_what_an_expression_may_not_do_is_refused_with_its_place(text: str, problem: str) -> None:
    assert problem in refusal(text)


def test_the_documented_examples_are_expressions() -> None:
    examples = documented()[0].splitlines()
    assert len(examples) > 3
    assert all(compile_where(text) for text in examples)


def test_the_documented_errors_are_what_is_said() -> None:
    wrong = ("resource.cpsu > 8", "resource.cpus > 'x'", "resource.cpus >", "resource.cpus")
    assert documented()[1].splitlines() == [refusal(text) for text in wrong]
