"""Which cards of a resource serve which demands for cards: a matching problem. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from hwprovisioner.allocate.demand import Gpu, GpuDemand


def assign_cards(
    demands: Sequence[GpuDemand], cards: Sequence[Gpu], free: Collection[int]
) -> tuple[int, ...] | None:
    """Give each demand a card of its own out of those that are free.

    Of all sets of cards that would do, the one with the smallest cards is taken: whatever is
    asked for in whatever order, the larger cards are left for others. Cheap for up to 64 demands
    and 64 cards, however they are related.

    Returns:
        The places of the cards, sorted; None if the demands cannot all be satisfied.
    """
    if len(demands) > len(free):
        return None
    assignment = _Assignment(Counter(demands))
    for place in sorted(free, key=lambda place: _size(cards[place], place)):
        if assignment.is_complete:
            break
        assignment.offer(place, cards[place])
    return assignment.places() if assignment.is_complete else None


def card_satisfies(demand: GpuDemand, card: Gpu) -> bool:
    """Say whether a card is of the sort that is asked for."""
    return (
        demand.brand in ("", card.brand)
        and demand.model in ("", card.model)
        and demand.memory.admit(card.memory)
    )


def _size(card: Gpu, place: int) -> tuple[int, str, str, int]:
    return card.memory, card.brand, card.model, place


class _Assignment:
    """A maximum bipartite matching that grows card by card, along augmenting paths (Kuhn).

    The sets of cards that can be assigned together form a matroid, so offering the cards in order
    gives the first set in that order. Equal demands are one sort with several places, and sets of
    sorts are the bits of a number.
    """

    def __init__(self, demands: Counter[GpuDemand]) -> None:
        self._demands = {1 << index: demand for index, demand in enumerate(demands)}
        self._missing = dict(zip(self._demands, demands.values(), strict=True))
        self._open = (1 << len(demands)) - 1
        """The sorts with places left."""
        self._useful = self._open
        """The sorts from which an augmenting path may still lead to an open one."""
        self._holders: dict[int, set[int]] = {sort: set() for sort in self._demands}
        self._sort_of: dict[int, int] = {}
        self._satisfied: dict[Gpu, int] = {}
        self._sorts_by_place: dict[int, int] = {}

    @property
    def is_complete(self) -> bool:
        return not self._open

    def places(self) -> tuple[int, ...]:
        return tuple(sorted(self._sort_of))

    def offer(self, place: int, card: Gpu) -> None:
        """Assign one more card if there is a way, those that are assigned staying so."""
        self._sorts_by_place[place] = self._sorts(card)
        unseen = self._useful
        reached_from = dict[int, int]()
        queue = [place]
        for other in queue:
            new = self._sorts_by_place[other] & unseen
            unseen &= ~new
            for sort in _bits(new):
                reached_from[sort] = other
                if sort & self._open:
                    self._shift(sort, reached_from)
                    return
                queue.extend(self._holders[sort])
        # What this search saw leads nowhere, now and later.
        self._useful = unseen

    def _shift(self, sort: int, reached_from: dict[int, int]) -> None:
        """Give a place of an open sort away, and move each card on the way to it by one sort."""
        self._missing[sort] -= 1
        if not self._missing[sort]:
            self._open &= ~sort
        while sort:
            place = reached_from[sort]
            before = self._sort_of.get(place, 0)
            self._sort_of[place] = sort
            self._holders[sort].add(place)
            if before:
                self._holders[before].discard(place)
            sort = before

    def _sorts(self, card: Gpu) -> int:
        """Return the sorts of demand that a card satisfies."""
        if card not in self._satisfied:
            self._satisfied[card] = sum(
                sort for sort, demand in self._demands.items() if card_satisfies(demand, card)
            )
        return self._satisfied[card]


def _bits(number: int) -> Iterable[int]:
    while number:
        bit = number & -number
        yield bit
        number ^= bit
