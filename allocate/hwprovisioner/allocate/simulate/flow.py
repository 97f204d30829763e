"""Maximum flow, and what is fair where not everybody can use everything. Pure.

Whole numbers only, so that results are exact.
"""

import itertools
from collections import defaultdict, deque
from collections.abc import Hashable, Mapping

Edge = tuple[Hashable, Hashable]
Edges = dict[Edge, int]
SOURCE, SINK = "source", "sink"
_ROUNDS = 24


class Network:
    """A network in which a maximum flow is found along the shortest ways first (Dinic)."""

    def __init__(self, edges: Mapping[Edge, int]) -> None:
        """Take edges with what each can carry."""
        self._left: dict[Hashable, dict[Hashable, int]] = defaultdict(dict)
        for (start, end), most in edges.items():
            self._left[start][end] = self._left[start].get(end, 0) + most
            self._left[end].setdefault(start, 0)
        self._levels: dict[Hashable, int] = {}

    def flow(self) -> int:
        """Return the most that can flow from `SOURCE` to `SINK`."""
        total = 0
        while self._level():
            ways = {node: iter(list(to)) for node, to in self._left.items()}
            while pushed := self._push(ways):
                total += pushed
        return total

    def _level(self) -> bool:
        self._levels = {SOURCE: 0}
        queue: deque[Hashable] = deque([SOURCE])
        while queue and SINK not in self._levels:
            node = queue.popleft()
            for other, left in self._left[node].items():
                if left and other not in self._levels:
                    self._levels[other] = self._levels[node] + 1
                    queue.append(other)
        return SINK in self._levels

    def _push(self, ways: Mapping[Hashable, object]) -> int:
        """Push what one way can carry, found without recursion: ways are long."""
        path: list[Hashable] = [SOURCE]
        while path and path[-1] != SINK:
            node = path[-1]
            for other in ways[node]:  # type: ignore[attr-defined]
                if self._left[node][other] and self._levels.get(other) == self._levels[node] + 1:
                    path.append(other)
                    break
            else:
                path.pop()
        steps = list(itertools.pairwise(path))
        if not steps:
            return 0
        most = min(self._left[a][b] for a, b in steps)
        for a, b in steps:
            self._left[a][b] -= most
            self._left[b][a] += most
        return most


def max_flow(edges: Mapping[Edge, int]) -> int:
    """Return the most that can flow from `SOURCE` to `SINK`."""
    return Network(edges).flow()


def fair_shares(
    wants: Mapping[str, int], weights: Mapping[str, float], edges: Mapping[Edge, int]
) -> dict[str, int]:
    """Return the weighted max-min fair shares of users.

    Nobody's share can grow without that of somebody who has less, by weight, shrinking. The level
    of all rises until somebody cannot have more; they are left at that, and the others go on.

    Args:
        wants: by user, the most that they could use.
        weights: by user.
        edges: what leads from the users to `SINK`; the edges from `SOURCE` are made here.
    """
    fixed: dict[str, int] = {}
    while len(fixed) < len(wants):
        shares = _highest(wants, weights, edges, fixed)
        stuck = {
            user: share
            for user, share in shares.items()
            if user not in fixed and not _can_grow(user, wants, edges, shares)
        }
        if not stuck:
            # Only roundings are in the way of those who are left.
            return shares
        fixed |= stuck
    return fixed


def _highest(
    wants: Mapping[str, int],
    weights: Mapping[str, float],
    edges: Mapping[Edge, int],
    fixed: Mapping[str, int],
) -> dict[str, int]:
    """Return what all have at the highest level that can be; some are fixed already."""

    def at(level: float) -> dict[str, int]:
        return {u: fixed.get(u, min(wants[u], int(level * weights[u]))) for u in wants}

    low, high = 0.0, 1 + max(wants[user] / weights[user] for user in wants if user not in fixed)
    if _fits(edges, at(high)):
        return at(high)
    for _ in range(_ROUNDS + int(high).bit_length()):
        middle = (low + high) / 2
        low, high = (middle, high) if _fits(edges, at(middle)) else (low, middle)
    return at(low)


def _can_grow(
    user: str, wants: Mapping[str, int], edges: Mapping[Edge, int], shares: Mapping[str, int]
) -> bool:
    more = shares[user] + max(1, shares[user] // 1000)
    return more <= wants[user] and _fits(edges, {**shares, user: more})


def _fits(edges: Mapping[Edge, int], shares: Mapping[str, int]) -> bool:
    made: Edges = {(SOURCE, user): share for user, share in shares.items()}
    return max_flow({**edges, **made}) == sum(shares.values())
