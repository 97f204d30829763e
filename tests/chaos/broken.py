"""A promise that was broken, and what shows it."""

from collections.abc import Iterable
from dataclasses import dataclass

from chaos.history import Line


@dataclass(frozen=True, slots=True)
class Broken:
    """A broken promise.

    Attributes:
        promise: its number in docs/architecture.md; 0 is what no promise has to say.
        what: one sentence.
        lines: the smallest part of the history that shows it.
    """

    promise: int
    what: str
    lines: tuple[Line, ...] = ()

    @classmethod
    def by(cls, promise: int, what: str, *lines: Line | None) -> "Broken":
        return cls(promise, what, tuple(line for line in lines if line is not None))

    def __str__(self) -> str:
        return "\n".join((f"{name_of(self.promise)}: {self.what}", *_shown(self.lines)))


def name_of(promise: int) -> str:
    """Return how a promise is called by its number."""
    return f"promise {promise}" if promise else "besides the promises"


def _shown(lines: Iterable[Line]) -> Iterable[str]:
    ordered = sorted(lines, key=lambda line: line.at)
    for line in ordered:
        text = str(line)
        yield f"  {line.at - ordered[0].at:+9.3f} s  {text[:400]}{'…' if len(text) > 400 else ''}"
