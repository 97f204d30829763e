"""`where`: how long, how deep and how costly an expression may be."""

import pytest

from hwprovisioner.allocate.demand import Gpu, Makes, Spec
from hwprovisioner.allocate.where import MAX_WHERE, compile_where
from hwprovisioner.allocate.where_messages import MAX_CARDS, MAX_IMAGES, MAX_LABELS
from support.where import BOARD, refusal

LARGEST = Spec(
    gpus=tuple(Gpu("b" * 128, "m" * 128, card) for card in range(MAX_CARDS)),
    labels=frozenset((f"l{number}", "v" * 128) for number in range(MAX_LABELS)),
    makes=Makes(images=frozenset(f"{number:0128}" for number in range(MAX_IMAGES))),
)


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
