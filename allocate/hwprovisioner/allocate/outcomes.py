"""What became of the newest holds of each resource, and how the same users and classes fare."""

import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

KEPT = 32
"""So many outcomes of each resource are remembered, since it was found well last."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a hold ended that its manager had begun to ready up."""

    user: str
    """As the beginning of a hash."""
    class_id: str
    failed: bool

    @classmethod
    def parse(cls, word: str) -> Self:
        """Read it as `include/outcomes.lua` writes it: ``-USER:CLASS`` if it failed, else ``+``."""
        user, _, class_id = word[1:].partition(":")
        return cls(user, class_id, word[0] == "-")

    @classmethod
    def of(cls, user: str, class_id: str, *, failed: bool) -> Self:
        """Return the outcome of a user's hold."""
        digest = hashlib.sha1(user.encode(), usedforsecurity=False).hexdigest()
        return cls(digest[:12], class_id, failed)


class Outcomes:
    """The newest outcomes of all resources. Asking costs nothing by how many there are."""

    def __init__(self) -> None:
        """Begin with none."""
        self._of: defaultdict[str, deque[Outcome]] = defaultdict(deque)
        self._all: Counter[tuple[str, bool]] = Counter()
        """How many there are, by user or class and by whether they failed."""

    def load(self, words: Mapping[str, Sequence[str]]) -> None:
        """Begin with what Redis has, by resource."""
        self._of.clear()
        self._all.clear()
        for name, some in words.items():
            for word in some:
                self.note(name, Outcome.parse(word))

    def note(self, name: str, outcome: Outcome) -> None:
        """Add an outcome of a resource; its oldest makes room."""
        known = self._of[name]
        if len(known) >= KEPT:
            self._count(known.popleft(), -1)
        known.append(outcome)
        self._count(outcome, 1)

    def forget(self, name: str) -> None:
        """Forget all outcomes of a resource."""
        for outcome in self._of.pop(name, ()):
            self._count(outcome, -1)

    def of(self, name: str) -> Sequence[Outcome]:
        """Return the outcomes of a resource, newest last."""
        return tuple(self._of.get(name, ()))

    def elsewhere(self, name: str, outcome: Outcome) -> tuple[int, int]:
        """Return how many holds of the same user or class failed on other resources, of how many.

        One that has both in common counts twice.
        """
        failed = total = 0
        here = self._of.get(name, ())
        for key in _keys(outcome):
            for has_failed in (True, False):
                own = sum(key in _keys(each) and each.failed is has_failed for each in here)
                others = self._all[key, has_failed] - own
                failed += others * has_failed
                total += others
        return failed, total

    def _count(self, outcome: Outcome, change: int) -> None:
        for key in _keys(outcome):
            self._all[key, outcome.failed] += change
            if not self._all[key, outcome.failed]:
                del self._all[key, outcome.failed]


def _keys(outcome: Outcome) -> tuple[str, ...]:
    """Return what outcomes are told apart by; those without a class have only their user."""
    user = f"user {outcome.user}"
    return (user, f"class {outcome.class_id}") if outcome.class_id else (user,)
