import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import Division, Gpu, Makes, Spec, System
from hwprovisioner.allocate.where import MAX_WHERE, WhereError, compile_where
from hwprovisioner.allocate.where_cost import MAX_PATTERN
from hwprovisioner.allocate.where_messages import MAX_CARDS, MAX_IMAGES, MAX_LABELS

BOARD = Spec(
    kind="edge-device",
    cpus=8,
    memory=32 << 30,
    gpus=(Gpu("nvidia", "orin", 16 << 30), Gpu("nvidia", "orin", 8 << 30)),
    system=System("linux", "ubuntu", "22.04"),
    labels=frozenset({("rack", "a1"), ("slots", "3"), ("jetson", "")}),
)
HYPERVISOR = Spec(
    kind="virtual-machine",
    cpus=64,
    memory=256 << 30,
    division=Division(instances=8, default_cpus=1, default_memory=1 << 30),
    makes=Makes(images=frozenset({"noble", "jammy"})),
)
OTHER = Spec(
    kind="physical-server",
    cpus=3,
    memory=1 << 20,
    gpus=(Gpu("amd", "w7700", 1), Gpu("amd", "w7800", 1)),
    division=Division(instances=2, default_cpus=1, default_memory=0),
)
LARGEST = Spec(
    gpus=tuple(Gpu("b" * 128, "m" * 128, card) for card in range(MAX_CARDS)),
    labels=frozenset((f"l{number}", "v" * 128) for number in range(MAX_LABELS)),
    makes=Makes(images=frozenset(f"{number:0128}" for number in range(MAX_IMAGES))),
)
TOKENS = (
    *("resource", "resource.cpus", "resource.gpus", "resource.labels", "resource.name", "GiB", "g"),
    *(".", "(", ")", "[", "]", "{", "}", ",", ":", "?", "!", "-", "+", "==", "&&", "||", " in "),
    *(
        "1",
        "2u",
        "1.5",
        "'a'",
        "'('",
        "b'a'",
        "null",
        "true",
        "\n",
        " ",
        "\x00",
        "\ud800",
        "\u00e9",
    ),
    *("exists(g,", ".map(g,", ".filter(g,", "matches(", "size(", "has(", "dyn(", "int(", "type("),
)


def documented() -> list[str]:
    """The examples of the documentation, then its errors, each as it stands there."""
    page = Path(__file__).parents[2].joinpath("docs", "demands.md").read_text()
    section = page.partition("## where: ")[2].partition("\n## ")[0]
    return re.findall(r"```\n(.*?)\n```", section, re.DOTALL)[:2]


def refusal(text: str) -> str:
    """Why an expression is refused."""
    with pytest.raises(WhereError) as caught:
        compile_where(text)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "resource.kind == 'edge-device'",
        "resource.cpus > 4 && resource.cpus % 2 == 0",
        "resource.memory == 32 * GiB && resource.memory > 1024 * MiB && 1 * TiB > 1024 * KiB",
        "resource.memory / resource.cpus >= 4 * GiB",
        "resource.gpus.exists(g, g.brand == 'nvidia' && g.model == 'orin' && g.memory >= 16 * GiB)",
        "resource.gpus.all(g, g.model == resource.gpus[0].model)",
        "resource.gpus.filter(g, g.memory >= 8 * GiB).size() == 2",
        "resource.gpus.map(g, g.memory).exists_one(m, m > 8 * GiB)",
        "resource.os.family == 'linux' && resource.os.distro in ['ubuntu', 'debian']",
        "resource.os.version.startsWith('22.')",
        "resource.labels.rack == 'a1' && resource.labels['rack'] < 'b'",
        "'jetson' in resource.labels && has(resource.labels.jetson) && !('x' in resource.labels)",
        "int(resource.labels.slots) >= 3",
        "resource.labels.exists(l, l.startsWith('jet'))",
        "!resource.divisible && resource.instances == 1 && resource.images == []",
        "resource.labels.rack.matches('^[a-c][0-9]+$')",
        "resource.name == 'board-7'",
    ],
)
def test_an_expression_sees_all_of_a_resource(text: str) -> None:
    where = compile_where(text)
    assert where.admits(BOARD, "board-7"), where.error(BOARD, "board-7")
    assert where.error(BOARD, "board-7") == ""
    assert not where.admits(OTHER, "other")


def test_what_only_some_resources_have_is_seen() -> None:
    where = compile_where(
        "resource.divisible && resource.instances == 8 && 'noble' in resource.images"
    )
    assert where.admits(HYPERVISOR, "hv-1")
    assert not where.admits(BOARD, "board-7")


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


def test_an_expression_has_bounded_length() -> None:
    longest = "true" + " " * (MAX_WHERE - 4)
    assert compile_where(longest).admits(BOARD, "board-7")
    assert "has 1,025 characters, at most 1,024" in refusal(longest + " ")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100 + "true" + ")" * 100,
        "[" * 100 + "]" * 100 + " == []",
        "1" + " + 1" * 100 + " > 1",
        "dyn(" * 100 + "1" + ")" * 100 + " == 1",
        "[1]" + ".map(x, x)" * 40 + " == []",
        "[1].exists(x, " * 40 + "true" + ")" * 40,
        "true" + " ? true : true" * 60,
    ],
)
def test_nesting_is_bounded(text: str) -> None:
    assert "is nested too deeply" in refusal(text)


def test_many_alternatives_are_not_deep() -> None:
    assert compile_where(" || ".join(["resource.cpus == 1"] * 40 + ["true"])).admits(BOARD, "")


@pytest.mark.parametrize(
    "text",
    [
        "resource.gpus.exists(a, resource.gpus.exists(b, a.model != b.model))",
        "resource.gpus.exists(a, [1, 2].exists(b, [1, 2, 3].exists(c, resource.gpus == [a])))",
        "resource.images.filter(i, i != 'x').size() > 1",
        "resource.images.exists(i, i.matches('^a'))",
        "resource.labels.all(l, resource.labels == {l: 'x'})",
        "[resource.images].exists(x, x.exists(i, x.exists(j, i != j)))",
        " && ".join(["resource.images == []"] * 40),
    ],
)
def test_steps_are_bounded(text: str) -> None:
    assert "steps, at most 10,000: a loop within a loop" in refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "resource.gpus.all(g, [1, 2, 3].all(n, g.memory != 1000 + n))",
        "resource.gpus.filter(g, g.memory >= 0).size() == 64",
        "resource.labels.all(l, resource.labels[l] != 'x' && !resource.labels[l].contains('x'))",
        "resource.images.all(i, i != 'x' && !i.endsWith('y'))",
    ],
)
def test_what_is_admitted_runs_to_its_end_on_the_largest_resource(text: str) -> None:
    where = compile_where(text)
    assert where.admits(LARGEST, "big"), where.error(LARGEST, "big")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("resource.labels.switch == 's1'", 'Key not found in map : "switch"'),
        ("resource.gpus[2].memory > 1", "index=2 size=2"),
        ("1 / (resource.cpus - 8) == 1", "divide by zero"),
        ("int(resource.labels.rack) == 1", "cannot convert string to int"),
        ("resource.memory * resource.memory > 1", "overflow"),
    ],
)
def test_an_error_on_a_resource_means_that_it_will_not_do(text: str, problem: str) -> None:
    where = compile_where(text)
    assert not where.admits(BOARD, "board-7")
    assert not compile_where(f"!({text})").admits(BOARD, "board-7")
    assert problem in where.error(BOARD, "board-7")


def test_an_error_does_not_count_where_the_rest_decides() -> None:
    where = compile_where("resource.labels.switch == 's1' || resource.cpus == 8")
    assert where.admits(BOARD, "board-7")


@pytest.mark.parametrize(
    ("text", "uses_name"),
    [
        ("resource.cpus > 8", False),
        ("resource.gpus.exists(g, g.brand == 'name')", False),
        ("resource.labels.name == 'x'", False),
        ("resource.name != 'x'", True),
        ("has(resource.name)", True),
        (".resource.name != 'x'", True),
        ("resource.gpus.exists(g, resource.name == g.brand)", True),
        ("[resource].exists(r, r.name == 'x')", True),
        ("resource == resource", True),
        ("{'a': resource}.a.name == 'x'", True),
    ],
)
def test_it_is_known_whether_the_name_matters(text: str, uses_name: bool) -> None:
    assert compile_where(text).uses_name is uses_name


def test_equal_resources_differ_by_name_only_if_it_matters() -> None:
    where = compile_where("resource.name.startsWith('board-') && resource.cpus == 8")
    assert where.admits(BOARD, "board-7")
    assert not where.admits(BOARD, "bench-7")
    assert where.admits(BOARD, "board-8")


def test_the_same_text_is_compiled_once() -> None:
    text = "resource.cpus == 12345"
    assert compile_where(text) is compile_where(text)


@given(st.text(max_size=80) | st.lists(st.sampled_from(TOKENS), max_size=25).map("".join))
def test_garbage_is_refused_or_works(text: str) -> None:
    try:
        where = compile_where(text)
    except WhereError:
        return
    for spec in (BOARD, HYPERVISOR, Spec()):
        assert not (where.admits(spec, "a") and where.error(spec, "a"))


@given(st.integers(0, 2**53), st.integers(-(2**63), 2**63 - 1))
def test_numbers_compare_as_numbers_do(cpus: int, bound: int) -> None:
    where = compile_where(f"resource.cpus >= {bound}")
    assert where.admits(Spec(cpus=cpus), "") is (cpus >= bound)


def test_the_documented_examples_are_expressions() -> None:
    examples = documented()[0].splitlines()
    assert len(examples) > 3
    assert all(compile_where(text) for text in examples)


def test_the_documented_errors_are_what_is_said() -> None:
    wrong = ("resource.cpsu > 8", "resource.cpus > 'x'", "resource.cpus >", "resource.cpus")
    assert documented()[1].splitlines() == [refusal(text) for text in wrong]
