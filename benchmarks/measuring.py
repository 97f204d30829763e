"""A figure against another, and what it should be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """A figure against another of the same run, and what it should be at most or at least."""

    name: str
    value: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def holds(self) -> bool:
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    def __str__(self) -> str:
        bounds = [f"at most {self.at_most:g}"] if self.at_most is not None else []
        bounds += [f"at least {self.at_least:g}"] if self.at_least is not None else []
        verdict = f"  wanted {' and '.join(bounds)}: {'holds' if self.holds else 'FALLS SHORT'}"
        return f"{self.name:<62} {self.value:8.2f} x{verdict if bounds else ''}"
