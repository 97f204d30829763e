"""The calls in a history, each with its answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from chaos.history import Line


@dataclass(slots=True)
class Call:
    """A call that an actor made. Without an answer it may have taken effect at any time since."""

    asked: Line
    answered: Line | None = None

    @property
    def name(self) -> str:
        return str(self.asked["name"])

    @property
    def outcome(self) -> str:
        return str(self.answered["outcome"]) if self.answered else "unknown"

    @property
    def allocation(self) -> str:
        """What it was about, as far as is known."""
        return str(self.get("allocation", ""))

    @property
    def lines(self) -> list[Line]:
        return [self.asked, self.answered] if self.answered else [self.asked]

    def get(self, name: str, default: Any = None) -> Any:
        """What the answer says, or else what was asked."""
        known = self.asked.get(name, default)
        return self.answered.get(name, known) if self.answered else known


def calls_in(lines: Iterable[Line]) -> list[Call]:
    """Return all calls, in the order in which they were made."""
    calls: list[Call] = []
    under_way: dict[tuple[str, int], Call] = {}
    for line in lines:
        if line.kind == "call":
            call = Call(line)
            calls.append(call)
            under_way[line.who, line["call"]] = call
        elif line.kind == "answer" and (asked := under_way.pop((line.who, line["call"]), None)):
            asked.answered = line
    return calls
