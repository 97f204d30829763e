"""Timing calls, and saying what came of it."""

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass
class Timings:
    """How long something took, each time, in ms."""

    name: str
    each_ms: list[float] = field(default_factory=list)

    def add(self, seconds: float) -> None:
        self.each_ms.append(seconds * 1000)

    @property
    def median_ms(self) -> float:
        return statistics.median(self.each_ms)

    def percentile_ms(self, percent: int) -> float:
        return statistics.quantiles(self.each_ms, n=100, method="inclusive")[percent - 1]

    async def time(self, call: Callable[[], Awaitable[object]]) -> None:
        start = time.perf_counter()
        await call()
        self.add(time.perf_counter() - start)


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


def table(timings: list[Timings]) -> str:
    """Return the timings as lines: name, count, median, 10 % and 90 %."""
    lines = [f"{'ms':<44} {'times':>6} {'median':>8} {'p10':>8} {'p90':>8}"]
    lines += [
        f"{t.name:<44} {len(t.each_ms):>6} {t.median_ms:8.3f}"
        f" {t.percentile_ms(10):8.3f} {t.percentile_ms(90):8.3f}"
        for t in timings
    ]
    return "\n".join(lines)
