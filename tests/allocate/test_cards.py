import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwprovisioner.allocate.cards import assign_cards, card_satisfies
from hwprovisioner.allocate.demand import Gpu, GpuDemand
from hwprovisioner.allocate.notation import Bounds

CARDS = st.lists(
    st.builds(Gpu, st.sampled_from("ab"), st.sampled_from("xy"), st.sampled_from([8, 16])),
    max_size=5,
)
DEMANDS = st.lists(
    st.builds(
        GpuDemand,
        st.sampled_from(["", "a", "b"]),
        st.sampled_from(["", "x"]),
        st.sampled_from([Bounds(), Bounds(16), Bounds(None, 8)]),
    ),
    max_size=5,
)


def ways(demands: list[GpuDemand], cards: list[Gpu], free: set[int]) -> set[tuple[int, ...]]:
    """All sets of cards that would do, each sorted."""
    return {
        tuple(sorted(way))
        for way in itertools.permutations(free, len(demands))
        if all(card_satisfies(d, cards[c]) for d, c in zip(demands, way, strict=True))
    }


@given(demands=DEMANDS, cards=CARDS, data=st.data())
def test_cards_are_assigned_whenever_there_is_a_way_and_the_smallest_that_do(
    demands: list[GpuDemand], cards: list[Gpu], data: st.DataObject
) -> None:
    free = data.draw(st.sets(st.sampled_from(range(len(cards))))) if cards else set()

    def sizes(way: tuple[int, ...]) -> list[tuple[int, str, str, int]]:
        return sorted((cards[c].memory, cards[c].brand, cards[c].model, c) for c in way)

    expected = min(ways(demands, cards, free), key=sizes, default=None)
    assert assign_cards(demands, cards, free) == expected


@given(demands=DEMANDS, cards=CARDS, data=st.data())
def test_the_order_of_demands_and_of_cards_does_not_matter(
    demands: list[GpuDemand], cards: list[Gpu], data: st.DataObject
) -> None:
    everything = range(len(cards))
    found = assign_cards(demands, cards, everything)
    assert assign_cards(data.draw(st.permutations(demands)), cards, everything) == found

    shuffled = data.draw(st.permutations(cards))
    again = assign_cards(demands, shuffled, everything)
    assert (again is None) == (found is None)
    if found is not None and again is not None:
        assert sorted(map(str, (cards[c] for c in found))) == sorted(
            map(str, (shuffled[c] for c in again))
        )


def test_a_plain_demand_leaves_the_large_card_alone() -> None:
    cards = [Gpu("nvidia", "h100", 80), Gpu("nvidia", "a100", 40), Gpu("nvidia", "t4", 16)]
    assert assign_cards([GpuDemand()], cards, range(3)) == (2,)
    assert assign_cards([GpuDemand(), GpuDemand(memory=Bounds(20))], cards, range(3)) == (1, 2)


@pytest.mark.parametrize("fits", [True, False])
def test_the_largest_sets_need_few_comparisons_and_no_recursion(
    fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each card satisfies all smaller demands; the demands come in the worst order.
    cards = [Gpu(memory=size) for size in range(64)]
    demands = [GpuDemand(memory=Bounds(size)) for size in range(64)]
    if not fits:
        demands[0] = GpuDemand(memory=Bounds(63, 63))
    compared = 0

    def counted(demand: GpuDemand, card: Gpu) -> bool:
        nonlocal compared
        compared += 1
        return card_satisfies(demand, card)

    monkeypatch.setattr("hwprovisioner.allocate.cards.card_satisfies", counted)
    assert (assign_cards(demands, cards, range(64)) == tuple(range(64))) is fits
    assert compared <= 64 * 64


def test_equal_demands_and_cards_are_compared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def counted(demand: GpuDemand, card: Gpu) -> bool:
        compared.append((demand, card))
        return card_satisfies(demand, card)

    monkeypatch.setattr("hwprovisioner.allocate.cards.card_satisfies", counted)
    assert assign_cards([GpuDemand("a")] * 40, [Gpu("a", "x", 8)] * 64, range(64)) == tuple(
        range(40)
    )
    assert compared == [(GpuDemand("a"), Gpu("a", "x", 8))]
