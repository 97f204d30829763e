"""`where`: expressions see all of a resource, and are decided as they say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.demand import Division, Gpu, Makes, Spec
from hwprovisioner.allocate.where import WhereError, compile_where
from support.where import BOARD

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
